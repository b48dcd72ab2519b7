"""A deterministic simulator of the whole core: one seed gives one history of several workers and their faults."""
