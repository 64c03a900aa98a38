"""Assay reads the day's AI papers and puts them to the test."""

__version__ = "0.1.0"
