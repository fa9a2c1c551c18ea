"""The demonstration set: pictures and films made by the code beside them."""
