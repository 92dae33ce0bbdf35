"""Precision: 64-bit JAX where it is needed, and the caller's setting everywhere else."""

import os
from functools import cache

import jax

_LOADED_IN = os.getpid()


def double_precision():
    """A context in which JAX computes in 64 bits, on this thread and until the block ends.

    Raises
    ------
    RuntimeError
        In a forked process, where JAX would wait for threads that only its parent has; or if JAX finds no device.
    """
    check_not_forked()
    _check_devices()
    return jax.enable_x64(True)


@cache
def _check_devices() -> None:
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split()) or "it has no such device"
        asked = f"with JAX_PLATFORMS={os.environ['JAX_PLATFORMS']}" if "JAX_PLATFORMS" in os.environ else "here"
        raise RuntimeError(f"JAX cannot compute {asked}: {reason}. Unset JAX_PLATFORMS, or say cpu.") from None


def check_not_forked() -> None:
    """Refuse to compute in a process that was forked after scalebayes, and with it JAX, had been loaded."""
    if os.getpid() != _LOADED_IN:
        raise RuntimeError(
            "this process was forked from one that had loaded scalebayes, and JAX, which runs on threads, cannot "
            "compute after a fork: it would never end. Start processes by spawn: "
            "ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn')), or get_context('spawn').Pool()."
        )
