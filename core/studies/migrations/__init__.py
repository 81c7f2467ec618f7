"""The tables' history. A new step: a file in ``versions`` whose ``down_revision`` is the last one's ``revision``."""
