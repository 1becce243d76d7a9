"""mho simulates analog in-memory computing: what a network on memristive crossbars computes, and what that costs."""

from mho import rooms as _rooms  # noqa: F401  first of all: it loads the packages that lie beside mho

# isort: split
