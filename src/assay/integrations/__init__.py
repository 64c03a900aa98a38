"""One module per outside library."""
