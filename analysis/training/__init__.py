"""Training and evaluation of the systems in ``analysis/models``."""
