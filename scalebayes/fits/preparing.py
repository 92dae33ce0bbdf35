"""Preparing a model for the sampler: the density of its structure, and its numbers padded to a size.

Models of one structure and size share everything that is compiled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from threading import Lock
from typing import Any, cast

import numpy as np

from scalebayes import laws
from scalebayes.discrepancy import sampled_of, solver
from scalebayes.inference.data import REAL
from scalebayes.inference.transport import Block, Transport
from scalebayes.model import Model
from scalebayes.model.structure import GROUP, OBSERVED, Structure, initial_values
from scalebayes.numerics.padding import padded_size, repeat_last
from scalebayes.numerics.precision import double_precision


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
    columns = (f"{role}_column" for role in block.observation.columns)
    for name in (*block.inputs, OBSERVED, *([GROUP] if grouped else []), *columns):
        numbers[name] = repeat_last(numbers[name], size)
    for term in block.terms:
        own = {name: numbers[name] for name in term.data_names}
        numbers |= term.padded(own, size, grouped)
    numbers |= solver.padded(numbers, size, grouped)
    shapes = tuple((name, numbers[name].shape) for name, _ in block.shapes)
    structure = replace(structure, blocks=(replace(block, n_runs=size, shapes=shapes),))
    source, initial = Specification(structure, dict(numbers)), initial_values(structure, numbers)
    numbers[REAL] = np.arange(size) < n
    return Prepared(source, numbers, initial)


_lock = Lock()  # so that no two threads make and compile the density of one structure


@dataclass(frozen=True)
class Specification:
    """A structure with one example of its numbers, which a comparison ignores."""

    structure: Structure
    numbers: Mapping[str, np.ndarray] = field(compare=False)

    @cached_property
    def name(self) -> str:
        """The structure in words, the same in every process; empty if the law or a part is not the package's own."""
        block = self.structure.block
        parts = [block.floor] if callable(block.floor) else []
        parts += [type(part) for part in (block.observation, *block.terms)]
        own = all(part.__module__.startswith("scalebayes.") for part in parts)
        if not own or not laws.is_built_in(laws.as_law(block.law)):
            return ""
        floor = block.floor.__name__ if callable(block.floor) else block.floor
        plain = replace(block, law=cast(Any, block.law.__name__), floor=floor)
        return repr(replace(self.structure, blocks=(plain,)))

    def transport(self) -> Transport:
        """The density and its whitening map; the same object for every equal specification."""
        with _lock:
            return _transport(self)


@lru_cache(maxsize=32)
def _transport(specification: Specification) -> Transport:
    from scalebayes.inference.density import from_pymc
    from scalebayes.model.graph import build

    structure, block = specification.structure, specification.structure.block
    sizes = {"run": structure.n_runs, structure.group: structure.n_groups, **dict(structure.factors)}
    for term in sampled_of(block.terms):
        sizes |= term.dims(specification.numbers)
    coords = {name: range(size) for name, size in sizes.items() if name}
    with double_precision():
        graph = build(structure, specification.numbers, coords)
        scales = {
            spread: (f"{p.name}_prior", 2 + i)
            for p in structure.parameters
            for i, (_, spread, _) in enumerate(p.deviations)
        }
        held = any(term.modeless for term in block.terms)
        noises = [p for p in structure.parameters if p.owner != "law"] if held else []
        modeless = [name for p in noises for name in (p.base, *(offset for _, _, offset in p.deviations))]
        density = from_pymc(graph, structure.helpers, block.positive)
        return Transport(density, _blocks(structure), scales, modeless)


def _blocks(structure: Structure) -> tuple[Block, ...]:
    """The variables of each level of one factor, the one with most values.

    Variables that vary over other factors only are whitened with the rest.
    """
    values: Counter[str] = Counter()
    for p in structure.parameters:
        for factor in p.factors if p.pooling == "pooled" else (structure.group,) * (p.pooling == "separate"):
            values[factor] += structure.levels(factor)
    if not values:
        return ()
    main = max(values, key=lambda factor: values[factor])
    blocks = []
    for p in structure.parameters:
        prior, centre = f"{p.name}_prior", p.variable
        if p.pooling == "separate" and main == structure.group:
            blocks.append(Block(own=centre, prior=prior))
        blocks += [
            Block(offset, prior, centre, population=p.base, spread=spread, log=p.link != "identity")
            for factor, spread, offset in p.deviations
            if factor == main
        ]
    return tuple(blocks)
