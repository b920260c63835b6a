"""The harness: the driver, the workers, training, data, search and the command line."""

if __name__ != "lrlc.harness":
    raise ImportError(f"import lrlc.harness, not {__name__}: {__file__} would be a second copy of it")
