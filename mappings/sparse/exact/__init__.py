"""The sparse product in float64, as a reference and for the pattern of the result."""
