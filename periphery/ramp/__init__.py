"""The ramp ADC: cells whose summed charge, shaped by a function, rises past all columns and converts them."""
