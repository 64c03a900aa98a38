"""Trials of post-training papers."""
