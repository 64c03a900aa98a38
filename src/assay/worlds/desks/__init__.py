"""Desks: small SQLite businesses with typed tools, tasks and checks."""
