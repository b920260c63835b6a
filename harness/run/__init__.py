"""A run: the session that a command opens, the driver that loops over trials, and the executors that run them."""
