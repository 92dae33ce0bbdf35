"""Precision: 64-bit JAX where it is needed, and the caller's setting everywhere else."""

import jax


def double_precision():
    """A context in which JAX computes in 64 bits, on this thread and until the block ends."""
    return jax.enable_x64(True)
