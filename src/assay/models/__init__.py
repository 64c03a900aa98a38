"""What trials think with: the built-in nano models, and any model of the user's."""
