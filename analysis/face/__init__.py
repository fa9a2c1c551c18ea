"""Faces: landmarks, Action Unit intensities and expression prototypes."""
