"""Measures that need two streams or two people: reactions to what is seen, mimicry, synchrony."""
