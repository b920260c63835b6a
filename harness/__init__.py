"""The harness: the driver, the workers, training, data, search and the command line."""
