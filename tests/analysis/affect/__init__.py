"""Tests of affect."""
