"""The whole way of a shard: its files read, shaped, sent and accounted for."""
