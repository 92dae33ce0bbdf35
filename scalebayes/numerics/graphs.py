"""PyTensor graphs as JAX functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
from pytensor.compile.mode import get_mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor import constant

# PyTensor's JAX backend turns on 64 bits for the whole process when it is imported; a library must not. The setting of
# the process is read on another thread, since this one may be in a context with a setting of its own.
with ThreadPoolExecutor(1) as _pool:
    _callers_setting = _pool.submit(lambda: jax.config.jax_enable_x64).result()
from pytensor.link.jax.dispatch import jax_funcify

jax.config.update("jax_enable_x64", _callers_setting)


def to_jax(arguments: Sequence, outputs: Sequence) -> Callable:
    """A JAX function of some variables of a graph; shared variables that are not arguments become constants.

    Parameters
    ----------
    arguments, outputs : sequence of pytensor variable

    Returns
    -------
    Callable
        Takes an array for each argument and returns a tuple with an array for each output.
    """
    inputs = {variable: variable.type(name=variable.name) for variable in arguments}
    rest = [v for v in ancestors(outputs) if isinstance(v, SharedVariable) and v not in inputs]
    constants = {v: constant(v.get_value()) for v in rest}
    graph = FunctionGraph(list(inputs.values()), clone_replace(outputs, {**inputs, **constants}), clone=False)
    # Without checks such as sigma > 0, which the transforms guarantee: each would be a warning, and filters of warnings
    # are not safe where models are traced on several threads.
    get_mode("JAX").including("local_remove_check_parameter").optimizer.rewrite(graph)
    return jax_funcify(graph)
