"""Scanners, guards and reports."""
