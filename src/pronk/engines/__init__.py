"""Engines: the HTTP servers that answer requests, and how they are reached, shared and run."""
