"""Trials of generation papers."""
