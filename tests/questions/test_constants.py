"""Inputs that are constants of each group, and plain inputs, at new points and along paths."""

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

VALUES = {"E": 0.2, "A": 5.0, "alpha": 2.0}
PRIORS = {name: sb.LogNormal(value, 0.3) for name, value in VALUES.items()}


def by_dimension(D, dim, *, E, A, alpha):
    """An exponent that a dimension of the task divides."""
    return E + A * D ** (-alpha / dim)


@pytest.fixture
def tasks(made_fit):
    table = pd.DataFrame(
        {
            "D": np.tile(np.geomspace(1e6, 1e9, 6), 2),
            "dim": np.repeat([4.0, 12.0], 6),
            "task": np.repeat(["flat", "deep"], 6),
        }
    )
    table["loss"] = by_dimension(table["D"], table["dim"], **VALUES)
    inputs = {"D": "D", "dim": sb.Input("dim", kind="constant")}
    runs = sb.read_runs(table, inputs=inputs, response="loss", group="task")
    return made_fit(sb.Model(by_dimension, runs, priors=PRIORS, discrepancy=None), VALUES, draws=4)


def test_each_group_keeps_its_own_along_a_path(tasks):
    answer = sb.crossover(tasks, axis="D", to=1e12)
    expected = {"flat": by_dimension(1e12, 4.0, **VALUES), "deep": by_dimension(1e12, 12.0, **VALUES)}
    assert answer.table.set_index("group")["median"].to_dict() == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match="dim is a constant of each group, and each keeps its own along a path"):
        sb.crossover(tasks, axis="D", to=1e12, path={"dim": 5.0})


def test_at_new_points_it_is_the_groups_own_unless_given(tasks):
    found = sb.forecast(tasks, at={"D": 1e12}).table.set_index("group")["median"]
    assert found["deep"] == pytest.approx(by_dimension(1e12, 12.0, **VALUES), rel=1e-9)
    given = sb.forecast(tasks, at={"D": 1e12, "dim": 6.0}, group="deep").table["median"].item()
    assert given == pytest.approx(by_dimension(1e12, 6.0, **VALUES), rel=1e-9)


def test_a_drift_along_the_only_scale_is_possible_beside_a_constant(tasks):
    model = sb.Model(by_dimension, tasks.model.runs, priors=PRIORS, discrepancy="drift")
    assert model.said_discrepancy == "drift"
    assert model.structure.block.shapes


def test_what_is_no_constant_is_refused(tasks, refuses):
    table = tasks.model.runs.table.assign(dim=np.arange(12.0))
    runs = sb.read_runs(
        table, inputs={"D": "D", "dim": sb.Input("dim", kind="constant")}, response="loss", group="task"
    )
    message = "column 'dim' (input dim) is a constant of each group, and 'deep' has 6 values of it; make it a plain input, or a scale."
    with refuses(ValueError, message):
        sb.Model(by_dimension, runs, priors=PRIORS, discrepancy=None)


def shared(D, p, *, E, A, alpha, slope):
    """A loss that a share, which may be zero, makes larger."""
    return E + A * D**-alpha + slope * p


def test_a_plain_input_may_be_zero_and_says_when_it_lies_outside_the_runs(made_fit):
    table = pd.DataFrame({"D": np.tile(np.geomspace(1e6, 1e9, 4), 3), "share": np.repeat([0.0, 0.3, 0.7], 4)})
    values = {"E": 0.2, "A": 5.0, "alpha": 0.2, "slope": 0.1}
    table["loss"] = shared(table["D"], table["share"], **values)
    runs = sb.read_runs(table, inputs={"D": "D", "p": sb.Input("share", kind="plain")}, response="loss")
    priors = {name: sb.LogNormal(value, 0.3) for name, value in values.items()}
    fit = made_fit(sb.Model(shared, runs, priors=priors, discrepancy=None), values, draws=4)
    found = sb.forecast(fit, at={"D": 1e8, "p": [0.0, 0.9]})
    assert found.table["median"].tolist() == pytest.approx([shared(1e8, p, **values) for p in (0.0, 0.9)], rel=1e-9)
    assert found.table["outside"].tolist() == ["", "p = 0.9 lies 0.2 above the runs"]
    assert "p = 0.9 lies 0.2 above the runs" in str(found)
    along = sb.reach(fit, target=0.5, axis="D", path={"p": 0.0}).table["median"].item()
    assert along == pytest.approx((5.0 / 0.3) ** 5, rel=1e-6)
    message = (
        "the prior of A is anchored by input 'p', which is no positive scale; give the parameter a prior of its own"
    )
    with pytest.raises(ValueError, match=message):
        sb.Model(
            shared,
            runs,
            priors=priors | {"A": sb.Anchored(sb.LogNormal(1, 1), input="p", exponent="alpha")},
            discrepancy=None,
        )
