"""What each circuit costs: component records, node scaling, and published prices of ADCs."""
