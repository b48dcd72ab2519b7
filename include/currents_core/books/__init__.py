"""The state of a connector: what became of every file and of every row."""
