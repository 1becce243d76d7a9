"""Characters of a text, predicted by an LSTM on chips: bits per character over time, text that a chip writes, cost."""
