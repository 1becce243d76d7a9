"""Sparse matrix products: the matrices of a user's files, and random graphs where there is no file."""
