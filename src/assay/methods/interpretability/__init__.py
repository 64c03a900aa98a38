"""What goes on inside a model: activations, probes, directions, heads."""
