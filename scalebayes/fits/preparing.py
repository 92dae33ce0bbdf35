"""Preparing a model for the sampler: the density of its structure, and its numbers padded to a size.

Models of one structure and size share everything that is compiled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from itertools import count
from threading import Lock
from typing import Any, NamedTuple, cast

import jax.numpy as jnp
import numpy as np

from scalebayes.discrepancy import sampled_of, solver
from scalebayes.inference.data import REAL, Data
from scalebayes.inference.density import Density
from scalebayes.inference.transport import Block, Transport
from scalebayes.model import Model
from scalebayes.model.structure import ERROR, GROUP, KNOWN, Structure
from scalebayes.model.values import PRIOR, free_variables, level_of, log_prior, prior_terms, squeezed, values
from scalebayes.numerics.fingerprint import fingerprint
from scalebayes.numerics.padding import padded_size, repeat_last


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model ready to be sampled.

    Parameters
    ----------
    source : Specification
        Specification of the density; equal for every model of one structure and size.
    numbers : dict of str to array
        Arguments of the density.
    initial : dict of str to array
        Centre of the prior of every free variable, on its unconstrained scale.
    """

    source: Specification
    numbers: dict[str, np.ndarray]
    initial: dict[str, np.ndarray]


def prepare(model: Model, size: int | None = None) -> Prepared:
    """The density, the numbers and the starting position of a model.

    Parameters
    ----------
    model : Model
    size : int, optional
        Number of runs to pad the table to, with copies that do not count; by default the next of a few sizes.
    """
    structure, n = model.structure.kind, model.structure.n_runs
    size = size or padded_size(n)
    numbers, block, grouped = dict(model.numbers), structure.block, bool(structure.group)
    further = [name for each in structure.blocks for name in each.of_runs]
    errors = [f"{name}{ERROR}" for name in block.uncertain]
    for name in (*block.inputs, *errors, *([GROUP] if grouped else []), *further):
        numbers[name] = repeat_last(numbers[name], size)
    for term in block.terms:
        own = {name: numbers[name] for name in term.data_names}
        numbers |= term.padded(own, size, grouped)
    numbers |= solver.padded(numbers, size, grouped)
    shapes = tuple((name, numbers[name].shape) for name, _ in block.shapes)
    blocks = (replace(each, n_runs=size, shapes=() if each.suffix else shapes) for each in structure.blocks)
    structure = replace(structure, blocks=tuple(blocks))
    source, initial = Specification(structure, dict(numbers), _code(structure)), free_variables(structure, numbers)
    terms = prior_terms(structure, numbers)
    numbers[PRIOR] = np.concatenate([terms[name] for name in _layout(structure, initial).order], axis=1)
    real = np.arange(size) < n
    known = [numbers.pop(each.key(KNOWN)) if each.partial else np.ones(size, bool) for each in structure.blocks]
    numbers[REAL] = np.concatenate([real & own for own in known])
    return Prepared(source, numbers, initial)


_lock = Lock()  # so that no two threads make and compile the density of one structure
_UNKNOWN = "unknown"
_numbers = count()


def _code(structure: Structure) -> tuple[str, ...]:
    """What the law, its floor, the observation and the terms of a structure compute."""
    parts: list[Any] = []
    for block in structure.blocks:
        parts += [block.law, *([block.floor] if callable(block.floor) else [])]
        # Of the package's own observations and terms, the structure says everything.
        own = (block.observation, *block.terms)
        parts += [type(part) for part in own if not type(part).__module__.startswith("scalebayes.")]
    return tuple(fingerprint(part) or f"{_UNKNOWN} {next(_numbers)}" for part in parts)


@dataclass(frozen=True)
class Specification:
    """A structure with one example of its numbers, which a comparison ignores.

    Parameters
    ----------
    structure : Structure
    numbers : mapping of str to array
    code : tuple of str
        Fingerprints of the caller's functions and classes. Of one that has none, a number that is never the same.
    """

    structure: Structure
    numbers: Mapping[str, np.ndarray] = field(compare=False)
    code: tuple[str, ...] = ()

    @cached_property
    def name(self) -> str:
        """The structure in words, the same in every process; empty if a part of the caller's has no fingerprint."""
        if any(part.startswith(_UNKNOWN) for part in self.code):
            return ""
        plain = tuple(
            replace(
                block,
                law=cast(Any, getattr(block.law, "__name__", "law")),
                floor="function" if callable(block.floor) else block.floor,
            )
            for block in self.structure.blocks
        )
        return repr((replace(self.structure, blocks=plain), self.code))

    def values(self, position: np.ndarray, published: Mapping[str, np.ndarray], data: Data) -> dict[str, np.ndarray]:
        """Every variable to keep on its natural scale, at positions of shape (..., size)."""
        structure = self.structure
        found = values(structure, self.transport().density.free(position), data, np)
        if not structure.group:  # a term has an axis of groups also where there is one only
            published = {name: np.squeeze(value, position.ndim - 1) for name, value in published.items()}
        return {**squeezed(structure, found, data), **published}

    def transport(self) -> Transport:
        """The density and its whitening map; the same object for every equal specification."""
        with _lock:
            return _transport(self)


@lru_cache(maxsize=32)
def _transport(specification: Specification) -> Transport:
    structure, numbers = specification.structure, specification.numbers
    block = structure.block
    values = free_variables(structure, numbers)
    layout = _layout(structure, values)
    slices, end = {}, 0
    for name in layout.order:
        slices[name] = slice(end, end + values[name].size)
        end += values[name].size
    published = {}
    for term in sampled_of(block.terms):
        sizes = term.dims(numbers)
        for name, dims in term.published.items():
            published[name] = (max(structure.n_groups, 1), *(sizes[dim] for dim in dims))

    def loglik():
        from scalebayes.model.likelihood import likelihood

        return likelihood(structure)

    def of_prior(position, data):
        return log_prior(position, data[PRIOR], jnp)

    density = Density(slices, structure.n_runs * len(structure.blocks), published, of_prior, loglik)
    held = any(term.modeless for term in block.terms)
    noises = [p for p in structure.parameters if p.owner != "law"] if held else []
    modeless = [name for p in noises for name in (p.variable, *(offset for _, _, offset in p.deviations))]
    indices = [i for name in modeless for i in range(slices[name].start, slices[name].stop)]
    groups = values[layout.owned[0]].size if layout.owned else 0
    return Transport(density, layout.blocks, groups, layout.scales, indices)


class _Layout(NamedTuple):
    """The order of the free variables in a position; see `Transport`.

    Parameters
    ----------
    blocks : tuple of Block
    order : tuple of str
    owned : tuple of str
        The last of these, one for each block.
    scales : tuple of (str, int)
    """

    blocks: tuple[Block, ...]
    order: tuple[str, ...]
    owned: tuple[str, ...]
    scales: tuple[tuple[str, int], ...]


def _layout(structure: Structure, variables: Iterable[str]) -> _Layout:
    """The layout in which the levels of one factor, the one with most values, are whitened given all others."""
    counted: Counter[str] = Counter()
    for p in structure.parameters:
        for factor in p.factors if p.pooling == "pooled" else (structure.group,) * (p.pooling == "separate"):
            counted[factor] += structure.levels(factor)
    main = max(counted, key=lambda factor: counted[factor], default="")
    pooled, other_spreads, separate = [], [], []
    for p in structure.parameters:
        prior = f"{p.name}_prior"
        if p.pooling == "separate" and main == structure.group:
            separate.append((Block(prior, pooled=False), p.variable))
        for i, (factor, spread, offset) in enumerate(p.deviations):
            if factor == main:
                level = None if p.link in ("identity", "log") else partial(level_of, p)
                pooled.append((Block(prior, level=level), spread, (prior, 2 + i), p.variable, offset))
            else:
                other_spreads.append((spread, (prior, 2 + i)))
    blocks, spreads, scales, centres, offsets = zip(*pooled, strict=True) if pooled else ((),) * 5
    first = (*spreads, *(spread for spread, _ in other_spreads))
    owned = (*offsets, *(name for _, name in separate))
    rest = tuple(name for name in variables if name not in {*first, *centres, *owned})
    return _Layout(
        (*blocks, *(block for block, _ in separate)),
        (*first, *rest, *centres, *owned),
        owned,
        (*scales, *(scale for _, scale in other_spreads)),
    )
