"""Simulated studies: whole sessions of participants whose answers are known, to try an analysis on."""
