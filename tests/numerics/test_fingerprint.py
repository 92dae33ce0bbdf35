"""The fingerprint of a function changes when what it computes changes, and only then."""

import subprocess
import sys
import textwrap
import types
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scalebayes.numerics.fingerprint import fingerprint

scale = 2.0


def helper(x):
    return scale * x


def law(x, *, a):
    return a * helper(x)


def _with(constant):
    return lambda x: x + constant


def _twice(x):
    return 2 * x


class Settings:
    def __init__(self, floor):
        self.floor = floor


SAME = {
    "a number": (lambda: _with(0.5), True),
    "an array": (lambda: _with(np.arange(3.0)), True),
    "an array of jax": (lambda: _with(jnp.arange(3.0)), True),
    "a dictionary": (lambda: _with({"a": 1, "b": (2, "x")}), True),
    "an object": (lambda: _with(Settings(0.3)), True),
    "a function": (lambda: _with(_twice), True),
    "a partial": (lambda: partial(_twice, x=3), True),
    "jit": (lambda: jax.jit(_twice), True),
    "a generator": (lambda: _with(i for i in range(3)), False),
    "an open file": (lambda: _with(sys.stdout), False),
}


@pytest.mark.parametrize("case", SAME)
def test_equal_functions_have_one_fingerprint_and_unknown_ones_none(case):
    make, known = SAME[case]
    first, second = fingerprint(make()), fingerprint(make())
    assert first == second
    assert bool(first) == known


def test_another_value_anywhere_is_another_fingerprint():
    values = [
        0.5,
        0.6,
        np.arange(3.0),
        np.arange(4.0),
        {"a": 1},
        {"a": 2},
        Settings(0.3),
        Settings(0.4),
        _twice,
        helper,
    ]
    found = [fingerprint(_with(value)) for value in values]
    assert len(set(found)) == len(found)
    assert fingerprint(lambda x, a=1: x + a) != fingerprint(lambda x, a=2: x + a)
    assert fingerprint(lambda x: x**2) != fingerprint(lambda x: x**3)
    assert fingerprint(partial(_twice, x=3)) != fingerprint(partial(_twice, x=4))


def test_what_a_function_calls_and_reads_counts(monkeypatch):
    before = fingerprint(law)
    monkeypatch.setitem(globals(), "scale", 3.0)
    after = fingerprint(law)
    assert before != after
    monkeypatch.setitem(globals(), "scale", 2.0)
    assert fingerprint(law) == before
    monkeypatch.setitem(globals(), "helper", _twice)
    assert fingerprint(law) != before


def test_what_is_looked_up_in_a_module_of_ones_own_counts(monkeypatch):
    module = types.ModuleType("my_laws")
    module.bent = _twice
    monkeypatch.setitem(globals(), "my_laws", module)

    def law(x):
        return my_laws.bent(x)  # noqa: F821

    before = fingerprint(law)
    assert before
    module.other = 3
    assert fingerprint(law) == before
    module.bent = helper
    assert fingerprint(law) != before


def test_a_closure_that_changes_is_seen():
    def made():
        floor = 0.1

        def law(x):
            return floor + x

        def move(value):
            nonlocal floor
            floor = value

        return law, move

    law, move = made()
    before = fingerprint(law)
    move(0.2)
    assert fingerprint(law) != before
    move(0.1)
    assert fingerprint(law) == before


def test_functions_that_call_each_other_end():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert fingerprint(even)
    assert fingerprint(even) == fingerprint(even)


def test_it_is_the_same_in_another_process():
    script = """
    import jax.numpy as jnp
    import numpy as np
    from scalebayes.numerics.fingerprint import fingerprint
    weights = np.linspace(0, 1, 5)
    def bent(x):
        return jnp.log1p(x) * weights.sum()
    def law(x, *, a):
        return a * bent(x) + {3, 1, 2}.pop() + len({"a", "b"})
    print(fingerprint(law))
    """
    run = [sys.executable, "-c", textwrap.dedent(script)]
    found = {subprocess.run(run, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(found) == 1
    assert found.pop().strip()
