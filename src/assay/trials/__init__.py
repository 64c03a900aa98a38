"""What is tried: one short module per paper, mirroring methods."""
