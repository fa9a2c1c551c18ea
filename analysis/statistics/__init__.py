"""Inference for a study: mixed models with crossed random effects, permutation, multiplicity, sensitivity."""
