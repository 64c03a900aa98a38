"""Methods that build, filter and score data."""
