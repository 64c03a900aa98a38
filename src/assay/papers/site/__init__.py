"""The reading half as static pages and feeds: `build` writes them."""
