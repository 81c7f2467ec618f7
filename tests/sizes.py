"""How much of a corpus a test goes through: a third, and all of it with ``FULL=1``.

All of it is run whenever the store or anything that reads strangers' files is touched.
"""

import os

FULL = os.environ.get("FULL") == "1"


def share(count):
    """The number of cases out of ``count``, at least one."""
    return count if FULL else -(-count // 3)
