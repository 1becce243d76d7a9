"""The page of a sweep: its results read back, what they are sensitive to, and the HTML."""
