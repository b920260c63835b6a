"""Studies for a machine without a network: a bundle that runs there, and adopting the resulting tables."""
