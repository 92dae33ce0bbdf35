"""Compiled programs of a density: each of its functions over a batch of tables, once for each shape of the arguments.

Tracing a program takes longer than finding its compiled form in JAX's cache. So traced programs are kept too, for the
package's own laws. The name of a kept program is a digest of the package's source, the versions of the libraries that
traced it, and its shapes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import jax
import numpy as np

from scalebayes.files import atomically
from scalebayes.inference.caching import cache_folder

if TYPE_CHECKING:
    from scalebayes.inference.source import Source
    from scalebayes.inference.transport import Transport

# Compiled programs are mapped into memory: about 1000 maps for those of one law and shape, of the 65,530 that Linux
# allows a process by default. Beyond these numbers the oldest are dropped, and read from JAX's cache if needed again.
_MOST_LAWS, _MOST_SHAPES = 6, 6
_TRACED_BY = ("jax", "jaxlib", "blackjax", "optimistix", "pymc", "pytensor")


@dataclass(frozen=True, eq=False)
class Programs:
    """The functions of a density and its map, each over a leading table dimension except ``values``.

    Arguments and results are tuples and dicts of numpy arrays; random keys are raw.
    """

    locate: Callable
    climb: Callable
    about_mode: Callable
    standardise: Callable
    profiles: Callable
    values: Callable
    from_draws: Callable
    start_nuts: Callable
    start_hmc: Callable
    advance_hmc: Callable
    advance_nuts: Callable
    expand: Callable


@lru_cache(maxsize=_MOST_LAWS)
def programs(source: Source) -> Programs:
    """The programs of a density. Cached, so that a second table of the same shape traces and compiles nothing."""

    def program(name: str) -> Callable:
        return _once(lambda: _functions(source.transport())[name], source.name, name)

    return Programs(**{field.name: program(field.name) for field in fields(Programs)})


def _functions(transport: Transport) -> dict[str, Callable]:
    from scalebayes.inference.hmc import chains
    from scalebayes.inference.modes import climb, profiles
    from scalebayes.inference.transport import Geometry
    from scalebayes.inference.whitening import about_mode, from_draws

    start_nuts, advance_nuts = chains(transport, fixed_length=False)
    start_hmc, advance_hmc = chains(transport, fixed_length=True)
    density = transport.density

    def at_mode(position, data):
        geometry, log_mass = about_mode(transport, position, data)
        return tuple(geometry), log_mass

    def rewhiten(z, geometry, data):
        return tuple(from_draws(transport, z, Geometry(*geometry), data))

    def along(top, z, geometry, data):
        return profiles(transport, top, z, Geometry(*geometry), data)

    def standardise(position, geometry, data):
        return transport.standardise(position, Geometry(*geometry), data)

    def expand(z, geometry, data):
        position, _ = transport.position(z, Geometry(*geometry), data)
        return density.expand(position, data), density.pointwise(position, data)

    each = jax.vmap

    return {
        "locate": each(density.position),
        "climb": each(lambda starts, centre, data: tuple(climb(transport, starts, centre, data))),
        "about_mode": each(at_mode),
        "standardise": each(each(standardise, (0, None, None))),
        "profiles": each(along),
        "values": density.expand,
        "from_draws": each(rewhiten),
        "start_nuts": each(start_nuts),
        "start_hmc": each(start_hmc),
        "advance_hmc": each(advance_hmc),
        "advance_nuts": each(advance_nuts),
        "expand": each(each(each(expand, (0, None, None)), (0, None, None))),
    }


def _once(make: Callable[[], Callable], source: str, name: str) -> Callable:
    """A program that compiles each shape once; if several threads need a shape, one compiles it and the others wait."""
    known: dict[tuple, Callable] = {}
    lock = Lock()

    def call(*arguments):
        leaves, tree = jax.tree.flatten(arguments)
        shapes = (tree, *((x.shape, x.dtype) for x in leaves))
        if compiled := known.get(shapes):
            return _out(compiled(*arguments))
        with lock:
            if not (compiled := known.get(shapes)):
                compiled = _kept(make, _digest(f"{source}\n{name}\n{shapes}"), arguments) if source else jax.jit(make())
                result = compiled(*arguments)
                if len(known) == _MOST_SHAPES:
                    del known[next(iter(known))]
                known[shapes] = compiled
                return _out(result)
        return _out(compiled(*arguments))

    return call


def _out(result):
    # NumPy arrays: those of JAX remember where they come from, and might make another program compile once more.
    return jax.tree.map(np.asarray, result)


def _kept(make: Callable[[], Callable], digest: str, arguments: tuple) -> Callable:
    """The program that was kept; if there is none, it is traced now, and kept if possible."""
    from jax import export

    if not jax.config.jax_enable_compilation_cache:
        return jax.jit(make())
    path = cache_folder() / "programs" / digest
    try:
        exported = export.deserialize(bytearray(path.read_bytes()))
    except Exception:  # missing or incomplete, for which there is no single kind of error
        exported = export.export(jax.jit(make()))(*arguments)
        _keep(path, exported.serialize())
    return jax.jit(exported.call)


def _keep(path: Path, content: bytearray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomically(path) as temporary:
            temporary.write_bytes(content)
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
