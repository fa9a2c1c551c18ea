"""Privacy: what participants agreed to, encryption of face video, forgetting, the key table."""
