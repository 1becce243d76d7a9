"""The functions that a converter can compute, their thresholds and output levels."""
