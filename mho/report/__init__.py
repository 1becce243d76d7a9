"""The report of a run: its files read back, tables, figures, and the page."""
