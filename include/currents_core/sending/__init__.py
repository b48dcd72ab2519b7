"""From entries to answered requests: how many at a time, how fast, and what is tried again."""
