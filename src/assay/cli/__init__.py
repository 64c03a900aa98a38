"""Thin commands: parse words, call the library, print."""
