"""Search in papers and claims: full text in Chinese and English, by meaning where the extra is installed."""
