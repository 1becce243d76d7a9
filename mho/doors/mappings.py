"""Leads to the room of this name: see mho/rooms.py."""

import mho  # noqa: F401  puts the room in the place of this module
