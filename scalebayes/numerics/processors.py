"""Linear algebra on one thread: chains already share the processors, each on a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

_lock = Lock()
_inside: list[threadpool_limits] = []


@contextmanager
def linear_algebra_on_one_thread() -> Iterator[None]:
    """Keep BLAS and LAPACK on the thread that calls them, until the last such block of the process ends.

    Matrices of forty rows gain nothing from more threads, and lose by them where chains run on threads: a leapfrog step
    over a surface took five times as long.
    """
    with _lock:
        _inside.append(_inside[0] if _inside else threadpool_limits(1, "blas"))
    try:
        yield
    finally:
        with _lock:
            limits = _inside.pop()
            if not _inside:
                limits.restore_original_limits()
