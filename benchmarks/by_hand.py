"""The same posterior as scalebayes' as a good user writes it by hand, in PyMC and in NumPyro.

A good user knows the tricks: amplitudes are values of the terms at the centre of the runs, powers are exponentials of
centred logarithms, positive parameters are sampled as logarithms. Groups are standard offsets from the population, or
centred on it: which is better depends on the runs, so both are here. same_posterior.py proves that all are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from cases import Case

import scalebayes as sb


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a user has in hand: data, and the constants of the priors.

    Parameters
    ----------
    n, d : array, shape (run,)
        Logarithms of N and D, less those of the references.
    log_loss : array, shape (run,)
    group : array of int, shape (run,), or None
    groups : int
    smallest, typical : float
        The bound of E, and the geometric mean of the losses.
    log_references : tuple of float
        Logarithms of the references of N and D.
    E, A, B, alpha, beta : tuple of float
        Location and scale of the prior and, with groups, the scale of the spread.
    outlying : array
        How far each outlier lies from the other runs, by which its noise is wider; else 0.
    sigma, nu : tuple of float
        Of the noise: location and scale, shape and rate.
    """

    n: np.ndarray
    d: np.ndarray
    log_loss: np.ndarray
    group: np.ndarray | None
    groups: int
    smallest: float
    typical: float
    log_references: tuple[float, float]
    E: tuple[float, ...]
    A: tuple[float, ...]
    B: tuple[float, ...]
    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    sigma: tuple[float, ...]
    outlying: np.ndarray
    nu: tuple[float, ...]


def inputs(case: Case) -> Inputs:
    """Constants as scalebayes states them, data straight from the table."""
    numbers = sb.Model(case.law, case.runs, **case.arguments).numbers
    runs = case.runs
    references = (float(np.log(numbers["A_reference"])), float(np.log(numbers["B_reference"])))
    prior = {name: tuple(map(float, numbers[f"{name}_prior"])) for name in ("E", "A", "B", "alpha", "beta", "sigma")}
    return Inputs(
        n=np.log(runs.x("N")) - references[0],
        d=np.log(runs.x("D")) - references[1],
        log_loss=np.log(runs.y),
        group=np.asarray(runs.group_index) if case.groups else None,
        groups=case.groups,
        smallest=float(numbers["E_bound"]),
        typical=float(numbers["A_typical"]),
        log_references=references,
        E=prior["E"],
        A=prior["A"],
        B=prior["B"],
        alpha=prior["alpha"],
        beta=prior["beta"],
        sigma=prior["sigma"],
        outlying=np.asarray(numbers.get("outlying", np.zeros(len(case.runs)))),
        nu=tuple(map(float, numbers["nu_prior"][:2])),
    )


def in_pymc(case: Case, centred: bool):
    """The case as a `pymc.Model`."""
    return pymc_pooled(inputs(case), centred) if case.groups else pymc_ungrouped(inputs(case))


def pymc_ungrouped(given: Inputs):
    """One set of parameters for all runs."""
    import pymc as pm

    with pm.Model() as model:
        E = pm.Deterministic("E", given.smallest * pm.math.sigmoid(pm.Normal("E_logit", *given.E)))
        alpha = pm.LogNormal("alpha", *given.alpha)
        beta = pm.LogNormal("beta", *given.beta)
        above_floor = pm.math.maximum(given.typical - E, given.typical / 20)
        a = pm.LogNormal("A_share", *given.A) * above_floor
        b = pm.LogNormal("B_share", *given.B) * above_floor
        pm.Deterministic("A", a * pm.math.exp(alpha * given.log_references[0]))
        pm.Deterministic("B", b * pm.math.exp(beta * given.log_references[1]))
        sigma = pm.LogNormal("sigma", *given.sigma)
        nu = pm.Deterministic("nu", 2 + pm.Gamma("nu_above", *given.nu))
        law = E + a * pm.math.exp(-alpha * given.n) + b * pm.math.exp(-beta * given.d)
        pm.StudentT(
            "log_loss", nu=nu, mu=pm.math.log(law), sigma=(sigma**2 + given.outlying**2) ** 0.5, observed=given.log_loss
        )
    return model


def pymc_pooled(given: Inputs, centred: bool):
    """Every parameter of the law has a value per group, around the population's."""
    import pymc as pm

    def by_group(name, population, scale):
        spread = pm.HalfNormal(f"{name}_spread", scale)
        if centred:
            return pm.math.exp(pm.Normal(f"{name}_log", pm.math.log(population), spread, dims="group"))
        return population * pm.math.exp(spread * pm.Normal(f"{name}_offset", 0, 1, dims="group"))

    def positive(name, prior):
        return by_group(name, pm.LogNormal(f"{name}_population", *prior[:2]), prior[2])

    with pm.Model(coords={"group": range(given.groups)}) as model:
        logit = pm.Normal("E_population_logit", *given.E[:2])
        population = pm.Deterministic("E_population", given.smallest * pm.math.sigmoid(logit))
        E = pm.Deterministic("E", by_group("E", population, given.E[2]), dims="group")
        alpha = pm.Deterministic("alpha", positive("alpha", given.alpha), dims="group")
        beta = pm.Deterministic("beta", positive("beta", given.beta), dims="group")
        above_floor = pm.math.maximum(given.typical - E, given.typical / 20)
        a = positive("A_share", given.A) * above_floor
        b = positive("B_share", given.B) * above_floor
        pm.Deterministic("A", a * pm.math.exp(alpha * given.log_references[0]), dims="group")
        pm.Deterministic("B", b * pm.math.exp(beta * given.log_references[1]), dims="group")
        sigma = pm.LogNormal("sigma", *given.sigma)
        nu = pm.Deterministic("nu", 2 + pm.Gamma("nu_above", *given.nu))
        g = given.group
        law = E[g] + a[g] * pm.math.exp(-alpha[g] * given.n) + b[g] * pm.math.exp(-beta[g] * given.d)
        pm.StudentT(
            "log_loss", nu=nu, mu=pm.math.log(law), sigma=(sigma**2 + given.outlying**2) ** 0.5, observed=given.log_loss
        )
    return model


def in_numpyro(case: Case, centred: bool) -> tuple[Callable, tuple]:
    """The case as a NumPyro model and its arguments, the data, so that other data need no compilation."""
    given = inputs(case)
    if case.groups:
        return numpyro_pooled(given, centred), (given.n, given.d, given.log_loss, given.group)
    return numpyro_ungrouped(given), (given.n, given.d, given.log_loss)


def numpyro_ungrouped(given: Inputs) -> Callable:
    """One set of parameters for all runs."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from jax.nn import sigmoid

    def model(n, d, log_loss):
        logit = numpyro.sample("E_logit", dist.Normal(*given.E))
        E = numpyro.deterministic("E", given.smallest * sigmoid(logit))
        alpha = numpyro.sample("alpha", dist.LogNormal(*given.alpha))
        beta = numpyro.sample("beta", dist.LogNormal(*given.beta))
        above_floor = jnp.maximum(given.typical - E, given.typical / 20)
        a = numpyro.sample("A_share", dist.LogNormal(*given.A)) * above_floor
        b = numpyro.sample("B_share", dist.LogNormal(*given.B)) * above_floor
        numpyro.deterministic("A", a * jnp.exp(alpha * given.log_references[0]))
        numpyro.deterministic("B", b * jnp.exp(beta * given.log_references[1]))
        sigma = numpyro.sample("sigma", dist.LogNormal(*given.sigma))
        nu = numpyro.deterministic("nu", 2 + numpyro.sample("nu_above", dist.Gamma(*given.nu)))
        law = E + a * jnp.exp(-alpha * n) + b * jnp.exp(-beta * d)
        numpyro.sample(
            "log_loss", dist.StudentT(nu, jnp.log(law), jnp.sqrt(sigma**2 + given.outlying**2)), obs=log_loss
        )

    return model


def numpyro_pooled(given: Inputs, centred: bool) -> Callable:
    """Every parameter of the law has a value per group, around the population's."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from jax.nn import sigmoid

    def by_group(name, population, scale):
        spread = numpyro.sample(f"{name}_spread", dist.HalfNormal(scale))
        if centred:
            around = dist.Normal(jnp.log(population), spread).expand([given.groups]).to_event(1)
            return jnp.exp(numpyro.sample(f"{name}_log", around))
        offset = numpyro.sample(f"{name}_offset", dist.Normal(0, 1).expand([given.groups]).to_event(1))
        return population * jnp.exp(spread * offset)

    def positive(name, prior):
        return by_group(name, numpyro.sample(f"{name}_population", dist.LogNormal(*prior[:2])), prior[2])

    def model(n, d, log_loss, g):
        logit = numpyro.sample("E_population_logit", dist.Normal(*given.E[:2]))
        population = numpyro.deterministic("E_population", given.smallest * sigmoid(logit))
        E = numpyro.deterministic("E", by_group("E", population, given.E[2]))
        alpha = numpyro.deterministic("alpha", positive("alpha", given.alpha))
        beta = numpyro.deterministic("beta", positive("beta", given.beta))
        above_floor = jnp.maximum(given.typical - E, given.typical / 20)
        a = positive("A_share", given.A) * above_floor
        b = positive("B_share", given.B) * above_floor
        numpyro.deterministic("A", a * jnp.exp(alpha * given.log_references[0]))
        numpyro.deterministic("B", b * jnp.exp(beta * given.log_references[1]))
        sigma = numpyro.sample("sigma", dist.LogNormal(*given.sigma))
        nu = numpyro.deterministic("nu", 2 + numpyro.sample("nu_above", dist.Gamma(*given.nu)))
        law = E[g] + a[g] * jnp.exp(-alpha[g] * n) + b[g] * jnp.exp(-beta[g] * d)
        numpyro.sample(
            "log_loss", dist.StudentT(nu, jnp.log(law), jnp.sqrt(sigma**2 + given.outlying**2)), obs=log_loss
        )

    return model
