"""Records: what a report needs is in them, and a fit is made again from one alone."""

import json

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.checks import record as records
from scalebayes.fits.description import describe_model
from scalebayes.fits.storage import Given, rebuilt
from scalebayes.questions.wording import plain


def test_a_record_says_what_a_report_needs(pile_fit):
    text = str(sb.record(pile_fit))
    for said in (
        "Law: power_floor(x; E, A, alpha)",
        "Input C: column flops, counted in FLOPs, 2.6e18 to 2.4e22",
        "Response: column loss, lower is better, 1.572 to 2.608",
        "Runs: 20 from table; groups by family: Cerebras-GPT (7), Cerebras-GPT-muP (5), Pythia (8)",
        "left out: 0 rows (no condition)",
        "Noise: StudentT(",
        "alpha: pooled(LogNormal(median=0.25, spread=0.7)",
        "Sampler: Hamiltonian Monte Carlo, 4 chains of",
        "Convergence: max r-hat 1.0",
        "alpha[Pythia]: 0.",
        "Back-test: none given",
        f"Digests: data {pile_fit.model.digest}, draws ",
        "Versions: python 3.",
    ):
        assert said in text, said


def test_a_record_of_runs_without_groups(two_fits):
    text = str(sb.record(two_fits[1]))
    assert "Runs: 16 from table\n" in text
    assert "Discrepancy: none" in text


def test_a_fit_is_made_again_from_its_record_alone(tmp_path):
    runs = sb.read_runs(
        sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", where="flops > 3e18"
    )
    priors = {"alpha": sb.pooled(sb.LogNormal(0.3, 0.5), spread=0.2)}
    fit = sb.fit(sb.laws.power_floor, runs, priors=priors, draws=200, discrepancy=None, seed=4)
    sb.record(fit).save(tmp_path / "record.json")
    with pytest.raises(FileExistsError):
        sb.record(fit).save(tmp_path / "record.json")
    again = sb.redo(tmp_path / "record.json")
    assert again.posterior.identical(fit.posterior)
    assert sb.record(again).to_dict() == sb.record(fit).to_dict()
    assert "alpha*: pooled" in str(sb.record(again))


def _score(L, *, level, k):
    return 1 / (1 + jnp.exp(k * (L - 2) - level))


def _through_json(model, **given):
    """A model made again from the description and the columns that its record has."""
    contents = json.loads(json.dumps(plain({"model": describe_model(model), "data": records._columns(model)})))
    return rebuilt(contents["model"], records._dataset(contents["data"]), Given(**given), "record")


def test_models_of_every_kind_are_made_again_from_their_record():
    rng = np.random.default_rng(0)
    n = 12
    table = pd.DataFrame(
        {
            "n": np.geomspace(1e7, 1e9, n),
            "d": np.geomspace(1e9, 1e11, n)[::-1],
            "web": rng.uniform(0.2, 0.8, n),
            "loss": np.geomspace(3.5, 2.2, n),
            "acc": np.where(np.arange(n) % 4, np.linspace(0.3, 0.7, n), np.nan),
            "who": np.repeat(["a", "b"], n // 2),
        }
    ).assign(code=lambda t: 1 - t["web"])
    runs = sb.read_runs(table, inputs={"N": sb.Input("n", error=0.05), "D": "d"}, response="loss", group="who")
    scores = sb.read_runs(table.dropna(), inputs={"N": "n"}, response="acc", better="higher")
    accuracy = sb.laws.composed(_score, {"L": sb.laws.power_floor})
    priors = {"level": sb.Normal(0, 1), "k": sb.LogNormal(2.0, 0.5)}
    also = {"loss": sb.laws.power_floor}
    mixture = sb.read_runs(table, inputs={"r": ["web", "code"]}, response="loss")
    mixing = sb.laws.data_mixing(["web", "code"])
    for model, given in (
        (sb.Model(sb.laws.chinchilla, runs), {}),
        (sb.Model(accuracy, scores, priors=priors, also=also, discrepancy=None), {"law": accuracy, "also": also}),
        (sb.Model(mixing, mixture, discrepancy=None), {"law": mixing}),
    ):
        again = _through_json(model, **given)
        assert again.digest == model.digest
        assert plain(describe_model(again)) == plain(describe_model(model))


def test_a_record_that_was_changed_is_refused(pile_fit, tmp_path):
    path = tmp_path / "record.json"
    whole = sb.record(pile_fit).to_dict()

    def refused(contents, message):
        path.write_text(json.dumps(contents) if not isinstance(contents, str) else contents)
        with pytest.raises(ValueError, match=message):
            sb.redo(path)

    changed = json.loads(json.dumps(whole))
    changed["data"]["response"]["values"][0] += 0.01
    refused(changed, r"the data in record\.json were changed")
    refused(whole | {"format_version": 1}, r"record\.json is in format 1, of an older scalebayes, .*fit again")
    refused(whole | {"format_version": 99}, r"record\.json was written by a newer scalebayes \(0\.1\.0, format 99\)")
    refused(whole | {"settings": {"draws": 10}}, "its settings are draws")
    refused(whole | {"model": {}}, r"record\.json is no record of a fit \(KeyError")
    refused("[1, 2]", r"record\.json is no record of a fit")
    refused("{", r"record\.json is no record of a fit")
    with pytest.raises(FileNotFoundError):
        sb.redo(tmp_path / "other.json")
    with pytest.raises(TypeError, match="record is about a fit"):
        sb.record(3)
