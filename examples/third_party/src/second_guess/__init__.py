"""Does the majority of several answers beat one answer? A trial of arXiv:2203.11171 from outside Assay."""
