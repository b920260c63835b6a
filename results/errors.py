"""What a wrong use or an unwritable place raises: one line for the user."""


class StoreError(ValueError):
    """What could not be read or written, where, and what to do; the message is one line."""
