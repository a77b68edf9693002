"""Keeps an imported library from raising Python's recursion limit."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

_IMPORTING = Lock()


@contextmanager
def same_recursion_limit() -> Generator[None]:
    """Restore the recursion limit after the import of eth-account in the block.

    Its dependency py_ecc raises the limit a hundredfold, for all threads. Nested JSON would then overflow the stack
    instead of being refused, and end the process.
    """
    with _IMPORTING:
        limit = sys.getrecursionlimit()
        try:
            yield
        finally:
            sys.setrecursionlimit(limit)
