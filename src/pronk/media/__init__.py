"""References in, bytes the engine can use out."""
