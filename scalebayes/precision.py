"""64-bit JAX where it is needed, and the caller's setting everywhere else."""

import jax

_callers_setting = jax.config.jax_enable_x64
# PyTensor's JAX backend turns on 64 bits for the whole process when it is imported; a library must not.
from pytensor.link.jax.dispatch import jax_funcify  # noqa: E402

jax.config.update("jax_enable_x64", _callers_setting)


def double_precision():
    """A context in which JAX computes in 64 bits, on this thread and no longer than the block."""
    return jax.enable_x64(True)


__all__ = ["double_precision", "jax_funcify"]
