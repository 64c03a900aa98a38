"""Two-dimensional scenes of coloured shapes: what is in the picture is known exactly."""
