"""The delivery of a shard: its files are read, shaped, sent and accounted for."""
