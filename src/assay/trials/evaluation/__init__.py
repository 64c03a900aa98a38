"""Trials of evaluation papers."""
