"""Studies for a machine without a network: a bundle that runs there, and adopting the tables that it leaves."""
