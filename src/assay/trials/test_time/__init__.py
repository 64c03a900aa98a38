"""Trials of test-time papers."""
