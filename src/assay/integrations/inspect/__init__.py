"""Inspect: provider, models as samplers, tasks and solvers."""
