"""The operators: thin steps around the core, one for each task of the DAGs."""
