"""Duchenne: emotion-induction experiments from stimulus to table."""

__version__ = "0.1.0"
