"""Back-tests: splits, which model is fitted to which runs, and real curves."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import scalebayes as sb
from scalebayes.checks.plan import averaged_laws, plan
from scalebayes.runs.splits import masks, split


def _curves(n=12):
    rng, tables = np.random.default_rng(0), []
    for name, E, alpha in (("a", 0.3, 0.3), ("b", 0.4, 0.25)):
        D = np.geomspace(1e6, 1e9, n)
        loss = (E + 30 * D**-alpha) * np.exp(0.005 * rng.normal(size=n))
        tables.append(pd.DataFrame({"curve": name, "n_tokens": D, "loss": loss, "kind": "made"}))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(is_train=(table["n_tokens"] < 1e8).astype(int))


def _runs(table):
    return sb.read_runs(table, inputs={"D": "n_tokens"}, response="loss", group="curve")


def test_cutoffs_and_tops_are_shares_within_each_curve():
    table = _curves()
    table.loc[table["curve"] == "b", "n_tokens"] *= 100
    runs = _runs(table)
    (known,) = masks(runs, None, [0.1], None).values()
    for name, largest in (("a", 1e9), ("b", 1e11)):
        own = (table["curve"] == name).to_numpy()
        np.testing.assert_array_equal(known[own], table["n_tokens"].to_numpy()[own] <= 0.1 * largest)
    (known,) = masks(runs, None, None, [0.25]).values()
    assert (~known).sum() == 6
    np.testing.assert_array_equal(masks(runs, "is_train", None, None)["is_train"], table["is_train"] == 1)


@pytest.mark.fits
def test_nothing_beyond_the_cutoff_enters_a_fit():
    table = _curves()
    changed = table.assign(loss=np.where(table["is_train"] == 1, table["loss"], table["loss"] * 1.5))
    one, other = (
        sb.backtest(sb.laws.power_floor, _runs(t), train="is_train", discrepancy="drift", draws=400, baselines=False)
        for t in (table, changed)
    )
    assert one.points["median"].equals(other.points["median"])
    assert (other.curves["rmsle"] > one.curves["rmsle"] + 0.2).all()


@pytest.fixture(scope="module")
def birds(public_data):
    table = pd.read_csv(public_data / "revisiting_benchmark.csv").query("domain == 'IC' and dataset == 'birds'")
    return table[table["curve_id"].isin(sorted(table["curve_id"].unique())[:2])]


@pytest.fixture(scope="module")
def tested(birds):
    runs = sb.read_runs(birds, inputs={"D": "n_samples"}, response="loss", group="curve_id")
    return sb.backtest(
        sb.laws.power_floor, runs, train="is_train", pool="domain", cluster="architecture", discrepancy="drift"
    )


@pytest.mark.fits
def test_real_curves_are_fitted_together_and_scored(tested, birds):
    curves = tested.curves
    assert curves["converged"].all()
    assert set(curves["pool"]) == {"IC"}
    assert (curves["fit"] == "is_train: IC").all()
    assert (curves["rmsle"] < 0.05).all()
    point = tested.points.iloc[0]
    assert point["scale"] > birds.query("curve_id == @point.curve and is_train == 1")["n_samples"].max()
    own = tested.points[tested.points["curve"] == point["curve"]]
    # Checkpoints are evenly spaced in samples; of those forecast, as many lie below the middle in logs as above it.
    scale = own["scale"].to_numpy()
    assert len(own) == 40
    assert (np.diff(scale) > 0).all()
    assert abs((scale < np.sqrt(scale[0] * scale[-1])).sum() - 20) <= 2
    expected = np.sqrt(np.mean(np.log(own["median"] / own["response"]) ** 2))
    assert curves.set_index("curve").loc[point["curve"], "rmsle"] == pytest.approx(expected)
    methods = set(tested.baselines["method"])
    assert {"carry_forward", "log_log_line", "bootstrap", "least_squares_broken_power", "least_squares_power"} < methods
    said = str(tested)
    assert "89% bands of a new run hold" in said
    assert "NOT CONVERGED" not in said
    row = tested.table.iloc[0]
    assert row["coverage_89_lower"] <= row["coverage_89"] <= row["coverage_89_upper"]


@pytest.mark.fits
def test_a_backtest_leads_with_what_has_not_converged_and_one_cluster_has_no_interval(tested):
    assert "[" in str(tested).splitlines()[0]
    name, other = tested.curves["curve"]
    went = tested.curves.assign(converged=[False, True], problem=["r-hat reaches 1.2", ""])
    bad = replace(tested, curves=went, clusters={name: "both", other: "both"})
    first, second, *_ = str(bad).splitlines()
    assert first == f"NOT CONVERGED: Known by is_train, {name}: r-hat reaches 1.2"
    assert "[" not in second
    row = bad.table.iloc[0]
    assert row["coverage_89"] == pytest.approx(went["coverage_89"].mean())
    assert row[["coverage_89_lower", "coverage_89_upper"]].isna().all()


@pytest.mark.fits
def test_a_fit_to_a_pool_is_averaged_with_one_to_each_curve():
    law = sb.laws.power_floor
    both = sb.backtest(
        [law, (law, None, "separate")],
        _runs(_curves()),
        train="is_train",
        pool="kind",
        baselines=False,
        discrepancy=None,
    )
    assert both.members["method"].tolist() == ["power_floor, pooled", "power_floor, separate"] * 2
    assert both.members["fit"].tolist() == ["is_train: made", "is_train: a", "is_train: made", "is_train: b"]
    assert set(both.curves["method"]) == {"average"}
    assert set(both.curves["fit"]) == {""}
    assert both.law == "power_floor, pooled; power_floor, separate"
    alone = sb.backtest(law, _runs(_curves()), train="is_train", baselines=False, discrepancy=None).curves.set_index(
        "curve"
    )
    errors = both.members.pivot(index="curve", columns="method", values="rmsle")
    # The separate fits have the same posterior with other random numbers; pooling moves it farther.
    separate = (errors["power_floor, separate"] - alone["rmsle"]).abs()
    assert (separate < 0.004).all()
    assert ((errors["power_floor, pooled"] - alone["rmsle"]).abs() > 3 * separate).any()
    counted = replace(both, members=both.members.assign(divergences=[2, 1, 2, 3]))
    assert counted.to_dict()["settings"][0]["divergences"] == 6


@pytest.mark.fits
def test_a_backtest_is_drawn(tested):
    figure = sb.plot_backtest(tested)
    assert len(figure.axes) == 3
    with pytest.raises(ValueError, match="there is no setting 'later'; there are 'is_train'"):
        sb.plot_backtest(tested, setting="later")
    with pytest.raises(ValueError, match="there is no curve 'c' in setting 'is_train'"):
        sb.plot_backtest(tested, curve="c")


def _with(**columns):
    return _runs(_curves().assign(**columns))


@pytest.mark.parametrize(
    ("runs", "arguments", "message"),
    [
        (
            _with(),
            {},
            r"say what is known by one of train= \(a column of 0 and 1\), cutoffs= or top= "
            r"\(command line: --train-column, --cutoffs or --holdout-top\)\.",
        ),
        (
            _with(),
            {"train": "known"},
            r"train='known' is no column of table; it has curve, n_tokens, loss, kind, is_train\.",
        ),
        (
            _with(is_train=2),
            {"train": "is_train"},
            r"train='is_train' must be 1 \(known\) or 0 \(to forecast\); 24 of 24 runs have another value, "
            r"first 2 \(run 0\)\.",
        ),
        (_with(), {"cutoffs": [0.1], "tested": 0}, r"tested is a whole number from 1 on, got 0\."),
        (_with(), {"cutoffs": [0.1, 2]}, r"cutoffs are shares between 0 and 1, got \[0\.1, 2\]\."),
        (
            _with(),
            {"cutoffs": [0.001]},
            r"2 curves cannot be tested: 0\.001, a: 1 known run, and 4 are needed; 0\.001, b: .* "
            r"skip=True \(--skip\) leaves them out\.",
        ),
        (
            _with(is_train=1),
            {"train": "is_train"},
            r"is_train, a: no run to forecast; is_train, b: no run to forecast\.",
        ),
        (
            _with(is_train=[0] + [1] * 23),
            {"train": "is_train"},
            r"is_train, a: 1 of its 1 runs to forecast lie below its largest known one, first run 0; "
            r"is_train, b: no run",
        ),
        (_with(), {"cutoffs": 0.5, "observation": "uniform"}, r"^observation is .*'uniform'\.$"),
        (_with(), {"cutoffs": 3}, r"cutoffs are shares between 0 and 1, got \[3\]\."),
        (
            _with(),
            {"cutoffs": [0.12345671, 0.12345672]},
            r"two of the shares are as good as equal: 0\.123457, 0\.123457\.",
        ),
        (_with(), {"cutoffs": [0.001, 0.0015]}, r"2 curves cannot be tested: 0\.001, a: .*; 0\.0015, b: "),
        (
            _with(kind=["x"] * 20 + [None] * 4),
            {"cutoffs": 0.5, "pool": "kind"},
            r"pool='kind' is empty in 4 of 24 runs, first run 20\.",
        ),
        (
            _with(loss=[*(0.5 - 0.01 * np.arange(12)), *(0.5 + 0.01 * np.arange(12))]),
            {"cutoffs": 0.5},
            r"1 curve cannot be tested: 0\.5, b: response 'loss' .* rises with D .*\. "
            r"skip=True \(--skip\) leaves them out\.",
        ),
        (_with(), {"cutoffs": [0.1], "pool": "is_train"}, r"pool='is_train' has several values within a: 0, 1\."),
        (
            _with(),
            {"cutoffs": [0.1], "pooling": "crossed"},
            r"pooling='crossed' is about curves that are fitted together: say which, pool=\.",
        ),
        (
            _with(is_train=1),
            {"train": "is_train", "skip": True},
            r"no curve can be tested: is_train, a: no run to forecast\.",
        ),
    ],
)
def test_what_cannot_be_tested_is_reported(runs, arguments, message):
    with pytest.raises(ValueError, match=message):
        sb.backtest(sb.laws.power_floor, runs, **arguments)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (
            [(sb.laws.power_floor, None, "kind")],
            'each of several laws is law, (law, discrepancy) or (law, discrepancy, "separate"), '
            "got (power_floor, None, 'kind').",
        ),
        (
            [sb.laws.power_floor, (sb.laws.power_floor, None, "separate")],
            "two of the laws to be averaged are called power_floor, and could not be distinguished.",
        ),
        ([], "law is a law, or several of them; got none."),
    ],
)
def test_several_laws_are_given_in_one_way(law, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        sb.backtest(law, _runs(_curves()), train="is_train", discrepancy=None)


def test_a_fit_in_place_of_a_law_brings_what_was_given_for_it(monkeypatch):
    from scalebayes.checks import backtest as module

    fitted = {}

    def fit_many(models, **settings):
        fitted.update(models)
        raise InterruptedError

    monkeypatch.setattr(module, "fit_many", fit_many)
    given = {"alpha": sb.LogNormal(0.3, 0.1)}
    model = sb.Model(
        sb.laws.power_floor,
        _runs(_curves(40)),
        priors=given,
        discrepancy="drift",
        observation=sb.Gaussian(sb.LogNormal(0.02, 1.0)),
    )
    with pytest.raises(InterruptedError):
        sb.backtest(sb.Fit(model, xr.DataTree()), cutoffs=[0.1])
    assert {name.rpartition(": ")[2] for name in fitted} == {"a", "b"}
    for each in fitted.values():
        assert each.priors["alpha"] == sb.shared(given["alpha"])
        assert (each.observation, each.discrepancy) == (model.observation, model.discrepancy)
        assert each.horizon is None


def test_a_law_with_its_discrepancy_needs_no_list():
    one, other = (
        averaged_laws(law, None) for law in ((sb.laws.power_floor, "drift"), [(sb.laws.power_floor, "drift")])
    )
    assert one == other
    assert averaged_laws((sb.laws.power, sb.laws.power_floor), None) == averaged_laws(
        [sb.laws.power, sb.laws.power_floor], None
    )


def test_what_is_fitted_to_a_pool_and_to_each_curve():
    runs, law = _runs(_curves(40)), sb.laws.power_floor
    parts, _ = split(runs, masks(runs, "is_train", None, None), False, False)
    models, methods, refused = plan(
        averaged_laws([law, (law, None, "separate")], None),
        parts,
        runs,
        {"a": "made", "b": "made"},
        pooled=True,
        points=None,
        priors={"alpha": sb.pooled(sb.LogNormal(0.3, 0.5), spread=0.2)},
        pooling="shared",
        observation=None,
        horizon=None,
    )
    assert {name: len(model.runs) for name, model in models.items()} == {
        "power_floor, pooled, is_train: made": 24,
        "power_floor, separate, is_train: a": 24,
        "power_floor, separate, is_train: b": 24,
    }
    assert refused == {}
    pooled, separate = methods["is_train", "a"]
    assert (pooled.group, separate.group) == ("a", None)
    # A single curve has no population; its prior is that of the population's value.
    assert models[pooled.fit].priors["alpha"] == sb.pooled(sb.LogNormal(0.3, 0.5), spread=0.2)
    assert models[separate.fit].priors["alpha"] == sb.shared(sb.LogNormal(0.3, 0.5))
    # The pooling word is about curves that are fitted together, and parameters without a prior of their own.
    assert str(models[pooled.fit].priors["E"]).startswith("shared(")


def test_a_stated_horizon_is_that_of_the_fits_that_drift():
    runs, law = _runs(_curves(40)), sb.laws.power_floor
    parts, _ = split(runs, masks(runs, None, [0.1], None), False, False)
    settings = {"points": None, "priors": {}, "pooling": None, "observation": None, "horizon": 12.0}
    models, _, _ = plan(
        averaged_laws([law, (law, "drift")], None), parts, runs, {"a": "", "b": ""}, pooled=False, **settings
    )
    assert {model.horizon for name, model in models.items() if "drift" in name} == {12.0}
    assert {model.horizon for name, model in models.items() if "drift" not in name} == {None}
    chosen, _, _ = plan(averaged_laws(law, "auto"), parts, runs, {"a": "", "b": ""}, pooled=False, **settings)
    assert {(model.said_discrepancy, model.horizon) for model in chosen.values()} == {("drift", 12.0)}


def test_curves_that_share_a_scale_are_named_and_others_go_on():
    table = _curves()
    table.loc[1, "n_tokens"] = table.loc[0, "n_tokens"]
    known = masks(_runs(table), "is_train", None, None)
    with pytest.raises(ValueError, match=r"is_train, a: 1 known runs share their scale with another"):
        split(_runs(table), known, True, False)
    parts, skipped = split(_runs(table), known, True, True)
    assert list(parts) == [("is_train", "b")]
    assert skipped == [("is_train", "a", "1 known runs share their scale with another")]


def test_a_curve_that_a_law_refuses_is_named_and_others_go_on():
    table = _curves(40)
    b = table["curve"] == "b"
    table.loc[b, "loss"] = 0.3 + 0.01 * np.arange(40)
    runs, law = _runs(table), sb.laws.power_floor
    parts, _ = split(runs, masks(runs, None, 0.5, None), False, False)
    settings = {"points": None, "priors": {}, "pooling": None, "observation": None, "horizon": None}
    models, methods, refused = plan(
        averaged_laws([(law, "drift"), law], None), parts, runs, {"a": "", "b": ""}, pooled=False, **settings
    )
    assert list(models) == ["power_floor+drift, 0.5: a", "power_floor, 0.5: a"]
    assert list(methods) == [("0.5", "a")]
    assert "rises with D" in refused["0.5", "b"]


def test_a_pool_of_one_curve_is_that_curve_by_itself():
    runs, law = _runs(_curves(60)), sb.laws.power_floor
    parts, _ = split(runs, masks(runs, None, [0.1], None), False, False)
    settings = {"points": None, "priors": {}, "pooling": None, "observation": None, "horizon": None}
    by_pool, by_curve = (
        plan(averaged_laws([(law, "drift")], None), parts, runs, {"a": "one", "b": "other"}, pooled=pooled, **settings)[
            0
        ]
        for pooled in (True, False)
    )
    for one, other in zip(by_pool.values(), by_curve.values(), strict=True):
        assert len(one.runs) == len(other.runs) == 24
        assert sb.priors.with_pooling(one.priors["E"]).prior == sb.priors.with_pooling(other.priors["E"]).prior


def test_cutoffs_stand_by_themselves_or_in_an_array():
    runs = _runs(_curves())
    one, several = masks(runs, None, 0.1, None), masks(runs, None, np.array([0.1, 0.3]), None)
    assert list(one) == ["0.1"]
    assert list(several) == ["0.1", "0.3"]
    np.testing.assert_array_equal(one["0.1"], several["0.1"])


def _answered(**changed):
    """A back-test of two curves at one cut-off, by hand."""
    own = {
        "setting": "0.3",
        "pool": "",
        "method": "power_floor",
        "fit": ["0.3: a", "0.3: b"],
        "known": 27,
        "fitted": 24,
        "ahead": 9,
        "tested": 9,
        "converged": True,
        "max_r_hat": 1.0,
        "divergences": 0,
        "diverging": 0.0,
        "problem": "",
    }
    scored = dict.fromkeys(
        ["log_score", "crps", "coverage_50", "coverage_80", "coverage_89", "coverage_95", "width_89"], 0.5
    )
    curves = pd.DataFrame({**own, **scored, "curve": ["a", "b"], "rmsle": [0.1, 0.3]})
    baselines = pd.DataFrame(
        {
            "setting": "0.3",
            "pool": "",
            "curve": ["a", "b", "a", "b"],
            "method": ["carry_forward"] * 2 + ["least_squares_power"] * 2,
            "rmsle": [0.2, 0.2, 0.1, 0.2],
            "coverage_89": np.nan,
            "width_89": np.nan,
            "converged": [np.nan, np.nan, True, False],
            "problem": "",
        }
    )
    parts = {
        "points": pd.DataFrame(),
        "curves": curves,
        "members": curves.iloc[:0],
        "baselines": baselines,
        "known": pd.DataFrame(),
        "skipped": (),
        "law": "power_floor",
        "response": "loss",
        "of": "curve",
        "scale": "log",
        "clusters": {"a": "a", "b": "b"},
    }
    return sb.Backtest(**parts | changed)


def test_what_was_left_out_is_counted():
    whole = _answered()
    assert "Known to 30% of the scale (2 curves, 54 runs known, 48 of them fitted, 18 held back, " in str(whole)
    assert "carry_forward 20.0%; least_squares_power 15.0% (1 not converged)" in str(whole)
    (setting,) = whole.to_dict()["settings"]
    assert setting["members"] == {}
    assert setting["baselines"]["least_squares_power"]["unconverged"] == 1
    assert setting["groups"][0]["curves"] == 2
    failed = _answered(curves=whole.curves.assign(rmsle=[0.1, np.nan]))
    (row,) = failed.table.to_dict("records")
    assert (row["curves"], row["failed"], row["rmsle"]) == (1, 1, 0.1)
    assert "over the logarithm of the scale; 1 without a forecast): the median" in str(failed)
    skipped = _answered(skipped=(("0.01", "a", "1 known run"), ("0.01", "b", "1 known run")))
    first, second = skipped.to_dict()["settings"]
    assert (first["cutoff"], second["cutoff"]) == ("0.3", "0.01")
    assert (second["groups"], second["curves"], second["max_r_hat"]) == ([], [], None)
    assert [each["name"] for each in second["skipped"]] == ["a", "b"]


def test_cutoffs_need_one_input(public_data):
    columns = {"N": "n_params", "D": "n_tokens"}
    table = public_data / "gadre_overtraining.csv"
    runs = sb.read_runs(table, inputs=columns, response="loss", group="dataset")
    with pytest.raises(
        ValueError, match=r"cutoffs are along one input, and the law has N, D; hold out the largest runs"
    ):
        sb.backtest(sb.laws.chinchilla, runs, cutoffs=[0.1], discrepancy=None)
