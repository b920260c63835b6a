"""One trial: the worker, the network's training, its checkpoints."""
