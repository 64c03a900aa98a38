"""What trials act on: tasks, environments and data, each usable on its own."""
