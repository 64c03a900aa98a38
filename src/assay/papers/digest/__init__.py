"""The day's report, written: fetch, fit, write through a model, check, ground, repair, render."""
