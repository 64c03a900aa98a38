"""Benchmarks as generators, protocols and metrics."""
