"""Results: the tables, and the statistics, figures and report made from them alone."""

RESULTS = "runs"
"""The default folder of results, relative to the working folder."""

if __name__ != "lrlc.results":
    raise ImportError(f"import lrlc.results, not {__name__}: {__file__} would be a second copy of it")
