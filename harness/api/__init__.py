"""lrlc in Python: `lrlc.load`, `lrlc.run`, `lrlc.train`. See docs/python.md."""
