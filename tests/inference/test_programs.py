"""Traced programs are kept for the next process, for the package's own laws only."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import scalebayes as sb
from scalebayes.inference import programs

SCRIPT = """
import json, sys
import scalebayes as sb

def mine(C, *, E, A, alpha):
    return E + A * (C / 1e21) ** -alpha

own = {"E": sb.FloorShare(1.2, 1.3), "A": sb.LogNormal(0.5, 0.5), "alpha": sb.LogNormal(0.2, 0.5)}
law, priors = (mine, own) if sys.argv[1:] else (sb.laws.power_floor, {})
fit = sb.fit(law, sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss"), priors=priors, draws=150)
heavy = [name for name in ("pymc", "pytensor", "blackjax", "optimistix") if name in sys.modules]
print(json.dumps({"heavy": heavy, "E": fit.posterior["E"].to_numpy().tobytes().hex()}))
"""


@pytest.fixture
def in_new_process(tmp_path):
    def run(*arguments):
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    return run


@pytest.mark.fits
def test_a_second_process_traces_nothing_and_draws_the_same(in_new_process, tmp_path):
    first = in_new_process()
    assert first["heavy"]
    kept = sorted((tmp_path / "scalebayes" / "programs").iterdir())
    assert len(kept) >= 6
    second = in_new_process()
    assert second["heavy"] == []
    assert second["E"] == first["E"]

    kept[0].write_bytes(b"half of what was")
    assert in_new_process()["E"] == first["E"]
    assert len(kept[0].read_bytes()) > 1000


@pytest.mark.fits
def test_a_law_of_the_callers_is_not_kept(in_new_process, tmp_path):
    in_new_process("mine")
    assert not (tmp_path / "scalebayes" / "programs").exists()


def test_a_specification_is_named_by_everything_that_shapes_it():
    from scalebayes.fits.preparing import prepare

    table = sb.pile_families()
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss")
    grouped = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family")
    models = [
        sb.Model(sb.laws.power_floor, runs),
        sb.Model(sb.laws.power_floor, grouped),
        sb.Model(sb.laws.power_floor, runs, observation="gaussian"),
        sb.Model(sb.laws.power_floor, grouped, pooling="separate"),
    ]
    names = [prepare(model).source.name for model in models]
    assert len(set(names)) == len(names)
    assert all("0x" not in name for name in names)
    wider = sb.Model(sb.laws.power_floor, runs, priors={"alpha": sb.LogNormal(0.3, 2.0)})
    assert prepare(wider).source.name == names[0]


def test_a_process_keeps_a_few_shapes_and_makes_the_others_again():
    traced = []

    def double(x):
        traced.append(x.shape)
        return 2 * x

    program = programs._once(lambda: lambda x: double(x), "", "double")
    for size in range(1, programs._MOST_SHAPES + 2):
        assert program(np.ones(size)).tolist() == [2.0] * size
    assert len(traced) == programs._MOST_SHAPES + 1
    program(np.ones(programs._MOST_SHAPES + 1))
    assert len(traced) == programs._MOST_SHAPES + 1
    assert program(np.ones(1)).tolist() == [2.0]
    assert len(traced) == programs._MOST_SHAPES + 2


def test_a_built_in_function_under_another_floor_is_another_program():
    from scalebayes.fits.preparing import prepare

    table = sb.pile_families()
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss")
    priors = sb.laws.as_law(sb.laws.power_floor).priors
    plain = {name: prior.prior for name, prior in priors.items()}
    declared = sb.Law(sb.laws.power_floor, floor="E", priors=plain)
    other = sb.Law(sb.laws.power_floor, floor=lambda *, E, alpha: E * alpha, priors=plain)
    names = [prepare(sb.Model(law, runs, priors=plain)).source.name for law in (sb.laws.power_floor, declared, other)]
    assert names[0] == names[1] != ""
    assert names[2] == ""
