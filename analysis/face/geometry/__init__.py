"""What the trained ``geometry`` backend measures on a face: aligned mesh, skin texture, network."""
