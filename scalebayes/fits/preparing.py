"""What a model becomes before it is sampled: the density of its structure, and its numbers made up to a size.

Models of one structure and size share everything that is compiled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from threading import Lock

import numpy as np

from scalebayes import laws
from scalebayes.inference.data import REAL
from scalebayes.inference.transport import Block, Transport
from scalebayes.model import Model
from scalebayes.model.structure import Structure, initial_values
from scalebayes.numerics.padding import round_size
from scalebayes.numerics.precision import double_precision


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model ready to be sampled.

    Parameters
    ----------
    source : Specification
        Of the density; equal for every model of that structure and size.
    numbers : dict of str to array
        Arguments of its density.
    initial : dict of str to array
        Centre of the prior of every free variable, on its unconstrained scale.
    """

    source: Specification
    numbers: dict[str, np.ndarray]
    initial: dict[str, np.ndarray]


# Places of runs along a curve or over a surface, and what stands where there is none.
_OF_PLACES = {"curve_slots": -1, "surface_slots": -1, "surface_squared": 0, "surface_ratio": 0, "surface_drifted": 0}


def prepare(model: Model, size: int | None = None) -> Prepared:
    """Density, numbers and starting position of a model.

    Parameters
    ----------
    model : Model
    size : int, optional
        Number of runs to make the table up to, by copies that do not count; by default one of a few sizes.
    """
    described, numbers = model.describe()
    structure, n = described.kind, described.n_runs
    size = size or round_size(n)
    renamed = {
        f"{old}{end}": f"{new}{end}"
        for old, new, end in (
            (described.observed, structure.observed, "_data"),
            (described.group, structure.group, "_index"),
        )
    }
    numbers = {renamed.get(name, name): value for name, value in numbers.items()}
    of_runs = (*structure.inputs, *renamed.values(), "curve_distance", "surface_alone")
    numbers = {
        name: value[np.minimum(np.arange(size), n - 1)] if name in of_runs else value for name, value in numbers.items()
    }
    if not structure.group:  # what has a place for each run of a group is of the table's size as well
        for name, nothing in _OF_PLACES.items():
            if name in numbers:
                along = [(0, 0)] * (numbers[name].ndim - 1)
                more = max(size - numbers[name].shape[-1], 0)
                numbers[name] = np.pad(numbers[name], [*along, (0, more)], constant_values=nothing)
        structure = replace(structure, places=size if structure.places else 0)
    structure = replace(structure, n_runs=size)
    source, initial = Specification(structure, dict(numbers)), initial_values(structure, numbers)
    numbers[REAL] = np.arange(size) < n
    return Prepared(source, numbers, initial)


_lock = Lock()  # or two threads might each make a density of one structure, and compile it twice


@dataclass(frozen=True)
class Specification:
    """A structure with one example of its numbers, which do not distinguish it."""

    structure: Structure
    numbers: Mapping[str, np.ndarray] = field(compare=False)

    @cached_property
    def name(self) -> str:
        """The structure in words, the same in every process; empty for a law that is not the package's own."""
        law = self.structure.law
        if law not in laws.PRIORS:
            return ""
        return repr({f.name: getattr(self.structure, f.name) for f in fields(Structure)} | {"law": law.__name__})

    def transport(self) -> Transport:
        """The density and its map; the same object for every equal specification."""
        with _lock:
            return _transport(self)


@lru_cache(maxsize=32)
def _transport(specification: Specification) -> Transport:
    from scalebayes.inference.density import from_pymc
    from scalebayes.model.graph import build

    structure = specification.structure
    sizes = {"run": structure.n_runs, structure.group: structure.n_groups, **dict(structure.factors)}
    sizes["place"] = structure.surface
    coords = {name: range(size) for name, size in sizes.items() if name}
    with double_precision():
        graph = build(structure, specification.numbers, coords)
        helpers = [name for p in structure.parameters for name in p.helpers] + ["surface_coordinates"]
        scales = {
            spread: (f"{p.name}_prior", 2 + i)
            for p in structure.parameters
            for i, (_, spread, _) in enumerate(p.deviations)
        }
        # A curve that nothing but its drift takes from run to run is denser than it is likely.
        noises = structure.parameters[len(structure.of_law) :] if structure.places else ()
        modeless = [name for p in noises for name in (p.base, *(offset for _, _, offset in p.deviations))]
        return Transport(from_pymc(graph, helpers, structure.inputs), _blocks(structure), scales, modeless)


def _blocks(structure: Structure) -> tuple[Block, ...]:
    """What the levels of the factor with most values own; what varies over another factor only is whitened with the rest."""
    values: Counter[str] = Counter()
    for p in structure.parameters:
        for factor in p.factors if p.pooling == "pooled" else (structure.group,) * (p.pooling == "separate"):
            values[factor] += structure.levels(factor)
    if not values:
        return ()
    main = max(values, key=lambda factor: values[factor])
    blocks = []
    for p in structure.parameters:
        prior, centre = f"{p.name}_prior", f"{p.base}_logit" if p.link == "floor" else p.base
        if p.pooling == "separate" and main == structure.group:
            blocks.append(Block(own=centre, prior=prior))
        blocks += [
            Block(offset, prior, centre, population=p.base, spread=spread, log=p.link != "identity")
            for factor, spread, offset in p.deviations
            if factor == main
        ]
    return tuple(blocks)
