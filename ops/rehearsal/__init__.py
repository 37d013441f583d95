"""Rehearsing a release on a copy of the data, beside everything and cut off from it."""
