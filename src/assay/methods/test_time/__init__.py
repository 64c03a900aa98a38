"""Methods that spend compute while answering."""
