"""Configurations: YAML with its parts brought together, and checked, with the line of every error."""
