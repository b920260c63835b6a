"""`lrlc bench`: what the layers and the training step cost on this machine, as ratios measured side by side."""
