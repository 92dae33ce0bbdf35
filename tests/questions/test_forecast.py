"""Forecasts and their inverse, exact on hand-made posteriors and sensible on a real one."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import scalebayes as sb


@pytest.fixture(scope="module")
def point_fit():
    """A posterior of one point: every draw is Hoffmann's constants, without noise to speak of."""
    table = pd.DataFrame({"N": np.geomspace(1e8, 1e10, 6), "D": np.geomspace(2e10, 2e9, 6), "loss": 3.0})
    model = sb.Model(sb.laws.chinchilla, sb.read_runs(table))
    values = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28, "sigma": 1e-12, "nu": 30.0}
    jitter = 1 + 1e-13 * np.random.default_rng(0).normal(size=(2, 50))  # constants have no r-hat
    draws = {name: (("chain", "draw"), value * jitter) for name, value in values.items()}
    posterior = xr.Dataset(draws, coords={"chain": [0, 1], "draw": np.arange(50)})
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((2, 50), bool))})
    tree = xr.DataTree.from_dict({"posterior": posterior, "prior": posterior, "sample_stats": stats})
    return sb.Fit(model, tree)


def test_forecast_from_a_point_posterior_equals_the_law(point_fit):
    row = sb.forecast(point_fit, {"N": 70e9, "D": 1.4e12}).table.iloc[0]
    for column in ("mean", "median", "lower", "upper", "new_run_lower", "new_run_upper"):
        assert row[column] == pytest.approx(1.936645470558717, rel=1e-10)


def test_extrapolation_is_the_factor_of_the_input_exceeded_most(point_fit):
    table = sb.forecast(point_fit, {"N": [70e9, 1e9, 2e10], "D": [1.4e12, 1e10, 1e10]}).table
    assert table["extrapolation"].tolist() == pytest.approx([70.0, 1.0, 2.0])
    assert table["extrapolated"].tolist() == ["D", "", "N"]


def test_reach_inverts_the_law(point_fit):
    answer = sb.reach(point_fit, 1.936645470558717, "D", at={"N": 70e9})
    assert answer.table.loc[0, "median"] == pytest.approx(1.4e12, rel=1e-6)
    assert answer.table.loc[0, "p_never"] == 0
    along_compute = sb.reach(point_fit, 1.936645470558717, "C", at={"D/N": 20})
    assert along_compute.table.loc[0, "median"] == pytest.approx(6 * 70e9 * 1.4e12, rel=1e-6)


def test_reach_says_when_a_target_is_never_reached(point_fit):
    answer = sb.reach(point_fit, 1.6, "D", at={"N": 70e9})
    assert answer.table.loc[0, "p_never"] == 1
    assert "is never reached by any D" in str(answer)


def test_bands_of_a_new_run_are_wider_than_the_means(pile_fit):
    table = sb.forecast(pile_fit, {"C": np.geomspace(1e20, 2e22, 8)}).table
    assert len(table) == 8 * 3
    assert (table["new_run_lower"] < table["lower"]).all()
    assert (table["new_run_upper"] > table["upper"]).all()
    assert (table["prior_upper"] - table["prior_lower"] > table["upper"] - table["lower"]).all()


def test_new_group_is_less_certain_than_a_known_one(pile_fit):
    known = sb.forecast(pile_fit, {"C": 1e21}, group="Pythia").table.iloc[0]
    new = sb.forecast(pile_fit, {"C": 1e21}, new_group=True).table.iloc[0]
    assert new["group"] == "(new)"
    assert new["upper"] - new["lower"] > 3 * (known["upper"] - known["lower"])


@pytest.mark.fits
def test_new_group_of_shared_parameters_is_like_any_other(pile_runs):
    model = sb.Model(sb.laws.power_floor, pile_runs, pooling="shared")
    fit = sb.sample(model, draws=300, seed=5)
    new = sb.forecast(fit, {"C": 1e22}, new_group=True).table.iloc[0]
    known = sb.forecast(fit, {"C": 1e22}, group="Pythia").table.iloc[0]
    assert (new["lower"], new["upper"]) == pytest.approx((known["lower"], known["upper"]), rel=1e-12)


def test_points_may_be_a_table_a_mapping_or_a_dataset(pile_fit):
    mapping = sb.forecast(pile_fit, {"C": [1e22, 1e23]}, group="Pythia").table
    frame = sb.forecast(pile_fit, pd.DataFrame({"flops": [1e22, 1e23]}), group="Pythia").table
    dataset = sb.forecast(pile_fit, xr.Dataset({"C": ("plan", [1e22, 1e23])}), group="Pythia").table
    with_group = sb.forecast(pile_fit, pd.DataFrame({"C": [1e22, 1e23], "family": "Pythia"})).table
    for other in (frame, dataset, with_group):
        pd.testing.assert_frame_equal(mapping, other)


def test_draws_of_a_forecast_carry_its_bands(pile_fit):
    answer = sb.forecast(pile_fit, {"C": 1e23}, group="Pythia", prob=0.5)
    low, high = answer.draws["mean_response"].quantile([0.25, 0.75], ("chain", "draw"), method="nearest")
    assert answer.table.loc[0, "lower"] == pytest.approx(float(low.item()), rel=1e-12)
    assert answer.table.loc[0, "upper"] == pytest.approx(float(high.item()), rel=1e-12)


def test_forecast_reads_as_a_sentence(pile_fit):
    text = str(sb.forecast(pile_fit, {"C": 2.4e23}, group="Pythia"))
    assert text.startswith("Pythia: at C = 2.4e23 the expected loss is ")
    assert "extrapolates 10x beyond the largest C" in text
    assert "0 divergences" in text


def test_unconverged_fit_leads_the_answer(pile_fit):
    bad = pile_fit.idata.copy()
    bad["sample_stats"]["diverging"] = xr.ones_like(bad["sample_stats"]["diverging"])
    text = str(sb.forecast(sb.Fit(pile_fit.model, bad), {"C": 1e23}))
    assert text.startswith("NOT CONVERGED: 2000 of 2000 draws diverged")


def test_plot_draws_runs_bands_and_marks_what_lies_beyond(pile_fit):
    figure = sb.plot(pile_fit, "C", to=1e25)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == list(pile_fit.model.runs.levels)
    for axes, level in zip(panels, pile_fit.model.runs.levels, strict=True):
        rows = pile_fit.model.runs.group_labels == level
        dots, *_ = [c for c in axes.collections if len(c.get_offsets()) == rows.sum()]
        np.testing.assert_allclose(dots.get_offsets()[:, 1], pile_fit.model.runs.y[rows])
        assert axes.get_xscale() == axes.get_yscale() == "log"
        solid, dashed = axes.lines
        assert solid.get_xdata().max() <= pile_fit.model.runs.x("C")[rows].max() * 1.001
        assert dashed.get_linestyle() == "--"
        shaded = axes.patches[0]
        assert shaded.get_x() == pytest.approx(pile_fit.model.runs.x("C")[rows].max())


def test_plot_of_two_inputs_colours_by_the_other(point_fit):
    figure = sb.plot(point_fit, "D")
    assert [axes.get_ylabel() for axes in figure.axes][-1] == "N (parameters)"


def test_demo_holds_back_the_largest_models():
    from scalebayes.cli.demo import run

    answer = run()
    assert not answer.fit.diagnostics.problems
    assert set(answer.published) == {"Cerebras-GPT", "Cerebras-GPT-muP", "Pythia"}
    assert 1.582 not in answer.fit.model.runs.y
    assert "inside" in str(answer)
