"""Leads to the package of this name beside ``mho``: see ``mho/packages.py``."""

import mho  # noqa: F401  replaces this module by the package
