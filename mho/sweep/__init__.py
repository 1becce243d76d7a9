"""Sweeps: many points around one base, kept in a store that survives any kill, on one or several processes."""
