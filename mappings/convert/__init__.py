"""Networks of torch on tiles: the module as a graph of layers on tiles and digital calls, and its chips."""
