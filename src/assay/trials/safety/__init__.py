"""Trials of safety papers."""
