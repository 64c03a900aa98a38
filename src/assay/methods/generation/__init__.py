"""Flow matching and diffusion for images and video."""
