"""Precision: 64-bit JAX where it is needed, and the caller's setting everywhere else."""

import os

import jax

_LOADED_IN = os.getpid()


def double_precision():
    """A context in which JAX computes in 64 bits, on this thread and until the block ends.

    Raises
    ------
    RuntimeError
        In a forked process, where JAX would wait for threads that only its parent has.
    """
    check_not_forked()
    return jax.enable_x64(True)


def check_not_forked() -> None:
    """Refuse to compute in a process that was forked after scalebayes, and with it JAX, had been loaded."""
    if os.getpid() != _LOADED_IN:
        raise RuntimeError(
            "this process was forked from one that had loaded scalebayes, and JAX, which runs on threads, cannot "
            "compute after a fork: it would never end. Start processes by spawn: "
            "ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn')), or get_context('spawn').Pool()."
        )
