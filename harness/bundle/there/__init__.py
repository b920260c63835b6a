"""The code that runs a bundle. It uses only the standard library until it has installed the rest.

Its files are copied into the bundle unchanged, so they import one another by relative names.
"""
