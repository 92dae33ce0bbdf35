"""PyTensor's JAX backend changes JAX's settings when it is imported; the caller's must stay."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("setting", [False, True])
def test_the_callers_precision_stays_when_the_backend_is_imported_in_64_bits(setting):
    script = f"""
import jax
jax.config.update("jax_enable_x64", {setting})
from scalebayes.numerics.precision import double_precision
with double_precision():
    import scalebayes.numerics.graphs
assert jax.config.jax_enable_x64 is {setting}
"""
    subprocess.run([sys.executable, "-c", script], check=True)
