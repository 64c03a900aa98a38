"""The reading half: catalogue, reports, feed, digest, search."""
