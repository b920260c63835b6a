"""The command line: one module a group of commands, and what a person sees while a study runs."""
