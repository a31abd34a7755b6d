"""The data plane: lease shards, run their requests, journal the results."""
