"""Proof that what is written by hand is scalebayes' posterior: ``python benchmarks/same_posterior.py CASE``."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping

import numpy as np
from by_hand import in_numpyro, in_pymc, inputs
from cases import CASES, POOLED, Case, named

import scalebayes as sb

TOLERANCE = 1e-6


def same_posterior(case: Case, points: int = 5) -> float:
    """Largest disagreement of the log densities by hand with scalebayes', as differences between points.

    All are compared on the unconstrained scale, where they have the same variables. Centred models have other
    variables, and need a Jacobian.

    Parameters
    ----------
    case : Case
    points : int

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If it exceeds `TOLERANCE`, or the models have other variables.
    """
    ours = sb.Model(case.law, case.runs, **case.arguments).pymc()
    by_hand = in_pymc(case, centred=False)
    start = by_hand.initial_point()
    apart = sorted(set(start) ^ set(ours.initial_point()))
    if apart:
        raise ValueError(f"{case.name}: scalebayes and PyMC by hand differ in the variables {', '.join(apart)}.")
    rng = np.random.default_rng(0)
    chosen = [
        {name: value + 0.3 * rng.standard_normal(np.shape(value)) for name, value in start.items()}
        for _ in range(points)
    ]
    found = [pymc_densities(ours, chosen), pymc_densities(by_hand, chosen), numpyro_densities(case, False, chosen)]
    if case.groups:
        moved = [recentred(case, point) for point in chosen]
        jacobian = np.asarray([log_jacobian(case, point) for point in chosen])
        found.append(pymc_densities(in_pymc(case, centred=True), moved) + jacobian)
        found.append(numpyro_densities(case, True, moved) + jacobian)
    # A constant may differ, so what counts is how each changes from one point to the next.
    change = np.diff(np.asarray(found), axis=1)
    largest = float(np.abs(change[1:] - change[0]).max())
    if not largest <= TOLERANCE:
        raise ValueError(f"{case.name}: the log densities by hand differ from scalebayes' by {largest:.3g}.")
    return largest


def pymc_densities(model, points: list[Mapping]) -> np.ndarray:
    """Log density of a PyMC model at points."""
    density = model.compile_logp()
    return np.asarray([float(density(point)) for point in points])


def numpyro_densities(case: Case, centred: bool, points: list[Mapping]) -> np.ndarray:
    """Log density of the NumPyro model at points named as PyMC names them."""
    import numpyro
    from numpyro.infer.util import potential_energy

    numpyro.enable_x64()
    model, arguments = in_numpyro(case, centred)
    plain = [{name.removesuffix("_log__"): value for name, value in point.items()} for point in points]
    return np.asarray([-float(potential_energy(model, arguments, {}, point)) for point in plain])


def recentred(case: Case, point: Mapping) -> dict[str, np.ndarray]:
    """The same point with the logarithms of the groups' values instead of offsets."""
    moved = dict(point)
    for name in POOLED:
        logit = point.get(f"{name}_population_logit")
        floor = None if logit is None else np.log(inputs(case).smallest) - np.log1p(np.exp(-logit))
        population = point[f"{name}_population_log__"] if floor is None else floor
        moved[f"{name}_log"] = population + np.exp(point[f"{name}_spread_log__"]) * moved.pop(f"{name}_offset")
    return moved


def log_jacobian(case: Case, point: Mapping) -> float:
    """Logarithm of how much a volume of offsets grows when they become logarithms of values."""
    return case.groups * float(sum(point[f"{name}_spread_log__"] for name in POOLED))


def main() -> None:
    """Compare the log densities of one case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    warnings.simplefilter("ignore")
    case = named(parser.parse_args().case)
    print(f"{case.name}: log densities agree to {same_posterior(case):.1e}")


if __name__ == "__main__":
    main()
