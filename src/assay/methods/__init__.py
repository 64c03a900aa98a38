"""The parts: one module a paper, by field of work. Imports nothing of Assay outside this package."""
