"""Leaky integrate-and-fire neurons, and the capacitor that behaves as one."""
