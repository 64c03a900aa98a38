"""Space-planning cases over real orbits: `cases` makes them; plain JSON data, reproducible from their seed."""
