"""Small text tasks with a checker each: chain, lookup, countdown, lists, their mixture mix6, and sums."""
