"""Recurrent layers on a GPU: the loop over their steps, and its form for training."""
