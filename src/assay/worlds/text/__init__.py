"""Small text tasks with a checker each: chain, lookup, countdown, lists, and their mixture mix6."""
