"""The compiled program of a density, once for each shape of its arguments, and kept for the next process.

Tracing takes longer than finding the compiled form in JAX's cache. So the traced program is kept too. Its name is a
digest of the package's source, the versions of the libraries that traced it, what the caller's functions compute, and
the shapes. It is stored with a digest of its bytes, so that a damaged one is made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import jax

from scalebayes.files import write
from scalebayes.inference.caching import cache_folder

if TYPE_CHECKING:
    from scalebayes.inference.packing import Layout
    from scalebayes.inference.source import Source

# Compiled programs are mapped into memory, of which Linux allows a process 65,530 maps by default. Beyond these numbers
# the oldest are dropped, and read from JAX's cache if needed again.
_MOST_DENSITIES, _MOST_SHAPES = 24, 6
_TRACED_BY = ("jax", "jaxlib", "pymc", "pytensor")
_DIGEST = hashlib.sha256().digest_size


@lru_cache(maxsize=_MOST_DENSITIES)
def program(source: Source, layout: Layout) -> Callable:
    """The program of a density. Cached, so that a second table of the same shape traces and compiles nothing."""
    from scalebayes.inference.trajectories import trajectories

    name = source.name and f"{source.name}\n{layout}"
    return once(lambda: trajectories(source.transport(), layout), name)


def once(make: Callable[[], Callable], name: str) -> Callable:
    """A function that compiles each shape once; if several threads need a shape, one compiles it and the others wait.

    Parameters
    ----------
    make : Callable
        Returns the function to compile; it is slow, and not called if the traced program is found.
    name : str
        The name under which the traced program is kept, the same in every process; it is not kept if empty.
    """
    known: dict[tuple, Callable] = {}
    lock = Lock()

    def call(*arguments):
        leaves, tree = jax.tree.flatten(arguments)
        shapes = (tree, *((x.shape, x.dtype) for x in leaves))
        if compiled := known.get(shapes):
            return compiled(*arguments)
        with lock:
            if compiled := known.get(shapes):
                return compiled(*arguments)
            compiled = _kept(make, _digest(f"{name}\n{shapes}"), arguments) if name else jax.jit(make())
            result = compiled(*arguments)
            if len(known) == _MOST_SHAPES:
                del known[next(iter(known))]
            known[shapes] = compiled
            return result

    return call


def _kept(make: Callable[[], Callable], name: str, arguments: tuple) -> Callable:
    """The program that was kept; if there is none, it is traced now, and kept if possible."""
    from jax import export

    if not jax.config.jax_enable_compilation_cache:
        return jax.jit(make())
    path = cache_folder() / "programs" / name
    content = _read(path)
    if content is not None:
        return jax.jit(export.deserialize(bytearray(content)).call)
    exported = export.export(jax.jit(make()))(*arguments)
    _write(path, bytes(exported.serialize()))
    return jax.jit(exported.call)


def _read(path: Path) -> bytes | None:
    """What was kept, None if it is missing or damaged."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    content = stored[_DIGEST:]
    return content if hashlib.sha256(content).digest() == stored[:_DIGEST] else None


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, hashlib.sha256(content).digest() + content)
    except OSError:  # a full disk, or a home folder that cannot be written, costs time and not the fit
        return


def _digest(text: str) -> str:
    return hashlib.sha256(f"{text}\n{_maker()}\n{jax.default_backend()}".encode()).hexdigest()


@lru_cache(maxsize=1)
def _maker() -> str:
    """A digest of this package's source, and the versions of the libraries that trace."""
    folder = Path(__file__).parents[1]
    source = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        source.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return " ".join([source.hexdigest(), *(f"{name} {version(name)}" for name in _TRACED_BY)])
