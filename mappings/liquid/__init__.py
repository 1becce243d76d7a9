"""Liquids: random reservoirs of spiking neurons on arrays of formed cells."""
