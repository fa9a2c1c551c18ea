"""Affect of the face: valence, arousal, dominance, classes of expression, behind one seam."""
