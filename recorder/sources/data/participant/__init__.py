"""Clips of the simulated participant and their exact values; see NOTICE."""
