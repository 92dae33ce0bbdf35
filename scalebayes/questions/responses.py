"""Another response of a joint fit as the one that answers are about."""

from __future__ import annotations

from dataclasses import replace

import xarray as xr

from scalebayes.arguments import nearest
from scalebayes.fits.draws import redescribed
from scalebayes.fits.fit import Fit
from scalebayes.laws import as_law
from scalebayes.model import Model
from scalebayes.model.responses import Response
from scalebayes.model.structure import Parameter


def with_response(fit: Fit, response: str) -> Fit:
    """The same fit, whose answers are about another of its responses.

    Parameters
    ----------
    fit : Fit
        A fit of several responses, `Model` with ``also``.
    response : str
        The column of the response.

    Returns
    -------
    Fit
        With the same draws. A discrepancy of the first response is no part of it.

    Raises
    ------
    ValueError
        If the fit has no such response.

    Examples
    --------
    With a fit of ``accuracy_from_loss`` composed with ``power_floor``, and of the loss:

    >>> answer = sb.forecast(sb.with_response(fit, "loss"), at={"C": 1e22})
    >>> round(float(answer.table["median"].iloc[0]), 3)
    1.817
    """
    model = fit.model
    if response == model.runs.response:
        return fit
    if response not in model.also:
        known = (model.runs.response, *model.also)
        raise ValueError(
            f"the fit has no response {response!r}{nearest(response, known)}; it has {', '.join(map(repr, known))}."
        )
    own = model.also[response]
    table = model.runs.table[model.runs.table[response].notna()]
    first = as_law(own.law)
    inputs = dict(zip(model.law.inputs, model.runs.inputs, strict=True))
    needed = {inputs[name]: model.runs.inputs[inputs[name]] for name in first.inputs}
    runs = replace(
        model.runs, table=table, inputs=needed, named=frozenset(needed), response=response, better=own.better
    )
    before = Response(model.law, model.observation, model.runs.better)
    others = {model.runs.response: before} | {c: each for c, each in model.also.items() if c != response}
    others = {c: each for c, each in others.items() if set(as_law(each.law).inputs) <= set(first.inputs)}
    kept = {name for law in (first, *(as_law(each.law) for each in others.values())) for name in law.parameters}
    priors = {name: prior if runs.group else prior.prior for name, prior in model.priors.items() if name in kept}
    turned = Model(
        own.law, runs, priors=priors, observation=own.observation, discrepancy=None, also=others, horizon=None
    )
    renamed = _renamed(model, turned)
    tree = redescribed(turned, fit.idata)
    for group in ("posterior", "prior", "log_prior"):
        draws = fit.idata[group].to_dataset()
        tree[group] = xr.DataTree(draws.rename({old: new for old, new in renamed.items() if old in draws}))
    tree.attrs["bending"] = ""
    return Fit(turned, tree)


def _renamed(model: Model, turned: Model) -> dict[str, str]:
    """New names of the observations' parameters, of which those of the first response have no suffix."""
    found: dict[str, str] = {}
    names = {p.name: p for p in turned.structure.parameters}
    blocks = {block.response: block for block in turned.structure.blocks}
    for block in model.structure.blocks:
        if block.response not in blocks:
            continue
        for name in block.observation.priors():
            old = next(p for p in model.structure.parameters if p.name == f"{name}{block.suffix}")
            new = names[f"{name}{blocks[block.response].suffix}"]
            found |= dict(zip(_of_parameter(old), _of_parameter(new), strict=True))
    return {old: new for old, new in found.items() if old != new}


def _of_parameter(p: Parameter) -> tuple[str, ...]:
    return (p.name, p.free, p.base, p.at_reference, *(spread for _, spread, _ in p.deviations))
