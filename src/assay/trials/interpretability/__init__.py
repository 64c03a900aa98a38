"""Trials of interpretability papers."""
