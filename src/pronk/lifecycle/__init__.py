"""The control plane: what happens to a batch when nobody looks."""
