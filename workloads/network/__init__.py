"""Any network on chips: how well it works over time, and what it costs."""
