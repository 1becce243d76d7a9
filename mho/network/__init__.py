"""Networks of torch as users call them: converted by the names of chips, saved, loaded, priced."""
