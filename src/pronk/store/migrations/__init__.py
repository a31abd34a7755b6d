"""Schema steps, applied in order of their names and never edited after a release."""
