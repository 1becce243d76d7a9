"""Searches: the settings with the best compromise between several figures, found by optuna and kept like a sweep."""
