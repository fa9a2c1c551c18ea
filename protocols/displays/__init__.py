"""Displays that show stimuli and report when they did."""
