"""`lrlc bench`: the cost of layers, training and the harness on this machine, as ratios measured side by side."""
