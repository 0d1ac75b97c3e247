"""Masked diffusion of tables: the data, the network, and the orders in which it unmasks columns."""
