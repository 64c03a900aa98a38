"""Small text tasks with a checker each, drawn by seed and split."""
