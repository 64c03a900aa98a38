"""Trials of papers on data."""
