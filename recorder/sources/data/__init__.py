"""Data files of the sources."""
