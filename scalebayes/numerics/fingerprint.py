"""Fingerprints of functions: what a function computes, as a digest that is the same in every process.

A fingerprint depends on the version of Python. A file of a fit stores another digest, of the source, which does not.
"""

from __future__ import annotations

import builtins
import hashlib
import types
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

# Packages whose functions are known by their names and versions.
_KNOWN = ("jax", "numpy", "scipy", "math", "functools", "operator", "scalebayes")
_LONGEST = 10_000_000  # bytes of an array


class _UnknownError(Exception):
    """Something whose value a digest cannot tell."""


def fingerprint(function: Callable) -> str:
    """A digest of a function's code, and of everything that the code refers to: closure, globals, defaults.

    Functions of well-known packages count by name and version. The digest is empty if something is of a kind whose
    value cannot be known, such as an open file: such a function may compute something else at any time.

    Parameters
    ----------
    function : Callable

    Examples
    --------
    >>> def power(slope):
    ...     return lambda x: x**slope
    >>> fingerprint(power(0.5)) == fingerprint(power(0.5)), fingerprint(power(0.5)) == fingerprint(power(0.6))
    (True, False)
    """
    try:
        parts = list(_described(function, []))
    except _UnknownError:
        return ""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _described(value: Any, seen: list) -> Iterator[str]:
    """A value in words; ``seen`` holds what is being described, by identity, since functions may call each other."""
    if value is None or value is Ellipsis or isinstance(value, bool | int | float | complex | str | bytes):
        yield f"{type(value).__name__} {value!r}"
        return
    for number, other in enumerate(seen):
        if other is value:
            yield f"the same as {number}"
            return
    seen.append(value)
    yield type(value).__qualname__
    if isinstance(value, tuple | list):
        yield str(len(value))
        for item in value:
            yield from _described(item, seen)
    elif isinstance(value, set | frozenset):
        yield from sorted("\1".join(_described(item, [])) for item in value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _described(key, seen)
            yield from _described(item, seen)
    elif hasattr(value, "__wrapped__") and not isinstance(value, types.FunctionType):  # of jit, for example
        yield from _described(value.__wrapped__, seen)
    elif isinstance(value, np.ndarray | np.generic) or type(value).__module__.startswith("jaxlib"):
        yield from _of_array(value)
    elif isinstance(value, types.ModuleType):
        yield from _of_name(value.__name__, "")
    elif isinstance(value, partial):
        yield from _described((value.func, value.args, value.keywords), seen)
    elif isinstance(value, types.MethodType):
        yield from _described((value.__func__, value.__self__), seen)
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value, seen)
    elif isinstance(value, types.CodeType):
        yield from _of_code(value, seen)
    elif isinstance(value, type):
        yield from _of_class(value, seen)
    elif isinstance(getattr(value, "__module__", None), str) and hasattr(value, "__name__"):
        yield from _of_name(value.__module__, value.__name__)
    elif isinstance(getattr(value, "__dict__", None), dict):
        yield from _described((type(value), vars(value)), seen)
    else:
        raise _UnknownError


def _of_array(value: Any) -> Iterator[str]:
    try:
        array = np.asarray(value)
    except Exception:  # a tracer, or an object that is no array
        raise _UnknownError from None
    if array.dtype.hasobject or array.nbytes > _LONGEST:
        raise _UnknownError
    yield f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def _of_name(module: str, name: str) -> Iterator[str]:
    package = module.partition(".")[0]
    if package not in (*_KNOWN, "jaxlib", "builtins"):
        raise _UnknownError
    yield f"{module} {name} {_version(package)}"


@lru_cache  # it is read from a file
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _of_function(function: types.FunctionType, seen: list) -> Iterator[str]:
    if function.__module__ and function.__module__.partition(".")[0] in _KNOWN:
        yield from _of_name(function.__module__, function.__qualname__)
        if function.__closure__ is None:
            return
    try:
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:  # a cell without contents
        raise _UnknownError from None
    yield from _described((function.__code__, function.__defaults__, function.__kwdefaults__, cells), seen)
    names = sorted(_names(function.__code__))
    for name in names:
        found = function.__globals__.get(name)
        if isinstance(found, types.ModuleType) and found.__name__.partition(".")[0] not in _KNOWN:
            # Of a module of the caller's, what the code may look up in it.
            yield name
            yield from _described({other: vars(found)[other] for other in names if other in vars(found)}, seen)
        elif name in function.__globals__:
            yield name
            yield from _described(found, seen)
        elif not hasattr(builtins, name):
            yield f"{name}?"  # an attribute, or a name that does not exist yet


def _names(code: types.CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _of_code(code: types.CodeType, seen: list) -> Iterator[str]:
    yield code.co_code.hex()
    yield from _described((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount, code.co_flags), seen)
    for constant in code.co_consts:
        yield from _described(constant, seen)


def _of_class(value: type, seen: list) -> Iterator[str]:
    if value.__module__.partition(".")[0] in (*_KNOWN, "builtins"):
        yield from _of_name(value.__module__, value.__qualname__)
        return
    yield value.__qualname__
    for base in value.__bases__:
        yield from _described(base, seen)
    for name, item in sorted(vars(value).items()):
        if isinstance(item, property):
            item = (item.fget, item.fset)
        if isinstance(item, staticmethod | classmethod):
            item = item.__func__
        if not name.startswith("__") or isinstance(item, types.FunctionType):
            yield name
            yield from _described(item, seen)
