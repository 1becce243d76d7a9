"""Layers of networks on tiles: recurrent and dense ones, their training for the chip, and the network of them."""
