"""Renders faces with exact Action Units: a head model, looks, light, camera, and prepared sets of them."""
