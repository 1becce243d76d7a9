"""SMASH's digital fabric and other dataflows on the same block, for comparison."""
