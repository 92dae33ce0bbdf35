"""Several responses of one table: laws that share parameters, and answers about either response."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import scalebayes as sb

N = np.geomspace(1e7, 1e9, 12)
PRIORS = {"level": sb.Normal(0, 1), "k": sb.LogNormal(2.0, 0.5)}


def score(L, *, level, k):
    """An accuracy that rises as the loss falls."""
    return 1 / (1 + jnp.exp(k * (L - 2) - level))


LAW = sb.laws.composed(score, {"L": sb.laws.power_floor})


def _table(seed=0):
    rng = np.random.default_rng(seed)
    loss = 1.0 + 30 * N**-0.2
    score = rng.binomial(500, 1 / (1 + np.exp(2.0 * (loss - 2)))) / 500
    return pd.DataFrame({"n": N, "loss": loss * np.exp(0.005 * rng.normal(size=len(N))), "score": score, "items": 500})


def _runs(table=None):
    table = _table() if table is None else table
    return sb.read_runs(table, inputs={"N": "n"}, response="score", better="higher")


def _model(runs=None, **changed):
    given = {"priors": PRIORS, "observation": sb.Binomial("items"), "also": {"loss": sb.laws.power_floor}} | changed
    return sb.Model(LAW, _runs() if runs is None else runs, **given)


def test_a_composed_law_is_the_outer_one_at_the_response_of_the_inner():
    theta = {"E": 1.0, "A": 30.0, "alpha": 0.2}
    inner = sb.laws.power_floor(N, **theta)
    assert LAW.inputs == ("x",)
    assert LAW.parameters == ("E", "A", "alpha", "level", "k")
    np.testing.assert_allclose(LAW.function(N, **theta, level=0.1, k=2.0), score(inner, level=0.1, k=2.0))


def test_priors_of_shared_parameters_are_stated_by_the_response_of_the_smaller_law():
    alone = sb.Model(sb.laws.power_floor, sb.read_runs(_table(), inputs={"N": "n"}, response="loss"), discrepancy=None)
    joint = _model()
    assert list(joint.priors) == ["E", "A", "alpha", "level", "k"]
    for name in ("E_bound", "A_typical", "A_reference"):
        np.testing.assert_allclose(joint.numbers[name], alone.numbers[name])
    assert joint.law.floor is None
    assert joint.also["loss"].law.floor == "E"


def test_the_digest_of_a_model_counts_every_response_and_column():
    table = _table()
    changed = [table.assign(loss=table["loss"] * 1.01), table.assign(items=table["items"] * 2)]
    assert len({_model(_runs(each)).digest for each in (table, *changed)}) == 3
    assert _model(_runs(table)).digest == _model(_runs(table.copy())).digest


@pytest.mark.parametrize(
    ("also", "message"),
    [
        ({"los": sb.laws.power_floor}, "also names the response 'los', which table does not have .did you mean 'loss'"),
        ({"score": sb.laws.power_floor}, "which is used already"),
        ({"loss": lambda N, D, *, E: E + 0 * N}, "has the input 'N', which .* does not have"),
        ({"loss": lambda x, *, other: other + 0 * x}, "shares no parameter with"),
        (["loss"], "also is a mapping from columns to laws"),
    ],
)
def test_a_further_response_that_does_not_fit_is_refused(also, message):
    with pytest.raises((TypeError, ValueError), match=message):
        _model(also=also)


def test_values_of_a_further_response_are_checked_where_there_are_any():
    table = _table()
    with pytest.raises(ValueError, match="holds fewer than two numbers"):
        _model(_runs(table.assign(loss=np.nan)))
    with pytest.raises(ValueError, match=r"further response.*positive.*1 of 12 rows"):
        _model(_runs(table.assign(loss=table["loss"].where(table.index > 0, -1.0))))
    with pytest.raises(ValueError, match="no number"):
        _model(_runs(table.assign(loss=["?", *table["loss"][1:].astype(str)])))
    assert not _model(_runs(table.assign(loss=table["loss"].where(table.index > 3)))).numbers["known_loss"][:4].any()


def test_laws_with_one_parameter_name_are_not_composed():
    with pytest.raises(ValueError, match="both have the parameter 'A'"):
        sb.laws.composed(sb.laws.power_floor, {"x": sb.laws.power_floor})
    with pytest.raises(ValueError, match="has no input 'D'"):
        sb.laws.composed(sb.laws.power_floor, {"D": sb.laws.power_floor})


@pytest.mark.fits
def test_both_responses_of_a_fit_are_forecast_and_come_back_from_its_file(tmp_path):
    table = _table()
    lacking = table.assign(loss=table["loss"].where(table.index > 2))
    model = _model(_runs(lacking))
    fit = sb.sample(model, draws=500)
    assert not fit.diagnostics.problems
    assert set(fit.idata["log_likelihood"].data_vars) == {"score_count", "log_loss"}
    assert np.isnan(fit.idata["observed_data"]["log_loss"].to_numpy()[:3]).all()
    of_loss = sb.with_response(fit, "loss")
    ahead = {"N": [1e10]}
    first, second = sb.forecast(fit, at=ahead).table.iloc[0], sb.forecast(of_loss, at=ahead).table.iloc[0]
    assert first["lower"] < 1 / (1 + np.exp(2.0 * (1.0 + 30 * 1e10**-0.2 - 2))) < first["upper"]
    assert second["lower"] < 1.0 + 30 * 1e10**-0.2 < second["upper"]
    assert sb.with_response(of_loss, "loss") is of_loss
    with pytest.raises(ValueError, match=r"no response 'lost'.*did you mean 'loss'"):
        sb.with_response(fit, "lost")
    fit.save(tmp_path / "joint.nc")
    with pytest.raises(ValueError, match="not built in; pass the function"):
        sb.load(tmp_path / "joint.nc")
    again = sb.load(tmp_path / "joint.nc", law=LAW)
    pd.testing.assert_frame_equal(sb.forecast(again, at=ahead).table, sb.forecast(fit, at=ahead).table)
    of_loss.save(tmp_path / "loss.nc")
    again = sb.load(tmp_path / "loss.nc", also={"score": LAW})
    pd.testing.assert_frame_equal(sb.forecast(again, at=ahead).table, sb.forecast(of_loss, at=ahead).table)
    other = sb.laws.composed(lambda L, *, level, k: k * L + level, {"L": sb.laws.power_floor})
    with pytest.raises(ValueError, match="holds a fit of another function"):
        sb.load(tmp_path / "joint.nc", law=other)


@pytest.mark.fits
def test_a_joint_fit_is_back_tested_with_its_further_responses():
    fit = sb.sample(_model(), draws=500)
    tested = sb.backtest(fit, top=0.25, baselines=False)
    assert tested.curves["converged"].all()
    assert len(tested.points) == 3


@pytest.mark.fits
def test_the_losses_of_runs_sharpen_the_forecast_of_their_accuracy():
    alone = sb.fit(
        LAW,
        _runs(),
        priors=PRIORS
        | dict(
            sb.Model(
                sb.laws.power_floor, sb.read_runs(_table(), inputs={"N": "n"}, response="loss"), discrepancy=None
            ).priors
        ),
        observation=sb.Binomial("items"),
    )
    joint = sb.sample(_model())
    ahead = {"N": [1e11]}
    wide, narrow = (sb.forecast(each, at=ahead).table.iloc[0] for each in (alone, joint))
    assert narrow["upper"] - narrow["lower"] < wide["upper"] - wide["lower"]


# Simulation-based calibration

TABLES, RUNS = 100, 24


def loss(C, *, a, b):
    """A loss with a known floor."""
    return 1.0 + jnp.exp(a - b * jnp.log(C / 1e20))


BOTH = sb.laws.composed(score, {"L": loss})
NOISE = sb.Gaussian(sb.LogNormal(0.02, 0.5))
OF_BOTH = {"a": sb.Normal(0, 0.3), "b": sb.Normal(0.2, 0.05), "level": sb.Normal(0, 0.5), "k": sb.LogNormal(2, 0.3)}


def _of_both(table, grouped):
    priors = OF_BOTH | (
        {"a": sb.pooled(OF_BOTH["a"], spread=0.2), "level": sb.pooled(OF_BOTH["level"], spread=0.3)} if grouped else {}
    )
    group = {"group": "group"} if grouped else {}
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="score", better="higher", **group)
    return sb.Model(
        BOTH, runs, priors=priors, observation=sb.Binomial("items"), also={"loss": sb.Response(loss, NOISE)}
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fits failed or have not converged:scalebayes.ConvergenceWarning")
@pytest.mark.parametrize("grouped", [False, True])
def test_parameters_and_forecasts_of_simulated_joint_tables_are_calibrated(grouped):
    rng = np.random.default_rng(3)
    empty = pd.DataFrame({"flops": np.geomspace(1e18, 1e22, RUNS), "items": 50.0, "score": 0.5, "loss": 2.0})
    empty["group"] = np.resize(["one", "two", "three"], RUNS)
    prior = _of_both(empty, grouped).prior(TABLES, seed=4)["prior"].to_dataset().isel(chain=0)
    models, truths = {}, []
    for i in range(TABLES):
        truth = {name: prior[name].isel(draw=i) for name in (*OF_BOTH, "sigma_loss")}
        theta = {
            n: v.sel(group=empty["group"].to_numpy()).to_numpy() if "group" in v.dims else float(v)
            for n, v in truth.items()
        }
        mean = np.asarray(loss(empty["flops"].to_numpy(), a=theta["a"], b=theta["b"]))
        chance = np.asarray(score(mean, level=theta["level"], k=theta["k"]))
        measured = np.exp(np.log(mean) + theta["sigma_loss"] * rng.normal(size=RUNS))
        table = empty.assign(loss=measured, score=rng.binomial(50, chance) / 50)
        # Of some runs the loss is not known.
        table["loss"] = table["loss"].where(rng.random(RUNS) < 0.8)
        models[str(i)] = _of_both(table, grouped)
        first = {
            n: float(np.ravel(v)[0] if not grouped else v.sel(group="one") if "group" in v.dims else v)
            for n, v in truth.items()
        }
        ahead = np.asarray(loss(1e24, a=first["a"], b=first["b"]))
        truths.append(first | {"ahead": float(score(ahead, level=first["level"], k=first["k"]))})
    fleet = sb.fit_many(models, draws=500)
    fits = {int(name): fleet[name] for name in fleet if fleet.table.loc[name, "converged"]}
    assert len(fits) >= 95
    inside = {name: [] for name in truths[0]}
    for i, fit in fits.items():
        drawn = {
            n: fit.posterior[n].sel(group="one") if "group" in fit.posterior[n].dims else fit.posterior[n]
            for n in truths[i]
            if n != "ahead"
        }
        drawn["ahead"] = sb.forecast(fit, at={"C": [1e24]}, group="one" if grouped else None).draws["mean_response"]
        for name, values in drawn.items():
            low, high = np.quantile(values, [0.055, 0.945])
            inside[name].append(low <= truths[i][name] <= high)
    for name, held in inside.items():
        assert stats.binomtest(sum(held), len(held), 0.89).pvalue > 1e-4, (name, sum(held), len(held))
