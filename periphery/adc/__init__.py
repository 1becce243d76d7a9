"""Linear converters, and the digital units that compute an activation behind them."""
