"""Data, not code: YAML of devices, components, chips, technologies and experiments, each number with its source.

Read it through ``importlib.resources.files("configs")``.
"""
