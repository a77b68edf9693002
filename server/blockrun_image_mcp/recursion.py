"""Keeps a library from letting Python recurse until the process dies."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

_IMPORTING = Lock()


@contextmanager
def same_recursion_limit() -> Generator[None]:
    """Keep the limit while eth-account is imported, whose dependency py_ecc raises it a hundredfold, for all threads.

    Nested JSON would then overflow the stack instead of being refused.
    """
    with _IMPORTING:
        limit = sys.getrecursionlimit()
        try:
            yield
        finally:
            sys.setrecursionlimit(limit)
