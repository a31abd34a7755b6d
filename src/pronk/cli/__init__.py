"""The ``pronk`` command: arguments in, one call, nothing else."""
