"""Readers of published data sets in the layout in which users obtain them; no data come with Duchenne."""
