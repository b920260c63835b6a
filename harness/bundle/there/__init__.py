"""What a bundle carries to run itself: the standard library alone, until it has installed the rest.

Its files are copied into the bundle as they are, so they import one another by relative names.
"""
