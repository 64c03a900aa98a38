"""Trials of the papers on attention."""
