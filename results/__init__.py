"""The results room: the tables, and the statistics, figures and report that are made from them alone."""
