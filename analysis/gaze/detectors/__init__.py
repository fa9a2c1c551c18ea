"""Event detectors beyond the velocity threshold; each is registered in :mod:`..events`."""
