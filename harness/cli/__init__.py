"""The command line: one module per group of commands, and the output shown while a study runs."""
