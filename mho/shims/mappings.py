"""Leads to the package of this name beside ``mho``: see ``mho/packages.py``."""

import mho  # noqa: F401  puts the package in the place of this module
