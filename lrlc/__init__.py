"""Is convolution the right inductive bias? Layers, studies, a harness and its tables under one name.

The four packages are the folders beside this one: here they are links, in a wheel real folders.
"""

__version__ = "0.1.0"
