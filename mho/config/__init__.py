"""Configurations: YAML with its parts brought together, and checked with the place of every error."""
