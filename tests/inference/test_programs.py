"""The traced program is kept for the next process, is never a stale one, and is made again if it is damaged."""

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

shift = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0

def mine(C, *, E, A, alpha):
    return E + shift + A * (C / 1e21) ** -alpha

own = {"E": sb.FloorShare(1.2, 1.3), "A": sb.LogNormal(0.5, 0.5), "alpha": sb.LogNormal(0.2, 0.5)}
law, priors = (mine, own) if sys.argv[1] == "mine" else (sb.laws.power_floor, {})
fit = sb.fit(law, sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss"), priors=priors, draws=150)
heavy = [name for name in ("pymc", "pytensor", "arviz", "arviz_stats", "matplotlib") if name in sys.modules]
sb.forecast(fit, at={"C": 1e24})
after = [name for name in ("pymc", "pytensor", "arviz", "arviz_stats", "matplotlib") if name in sys.modules]
print(json.dumps({"heavy": heavy, "after": after, "E": fit.posterior["E"].to_numpy().tobytes().hex()}))
"""


@pytest.fixture
def in_new_process(tmp_path):
    def run(*arguments):
        arguments = arguments or ("power_floor",)
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    return run


@pytest.mark.fits
@pytest.mark.parametrize("law", ["power_floor", "mine"])
def test_a_second_process_traces_nothing_and_draws_the_same(in_new_process, tmp_path, law):
    first = in_new_process(law)
    assert "pymc" in first["heavy"]
    (kept,) = (tmp_path / "scalebayes" / "programs").iterdir()
    second = in_new_process(law)
    assert (second["heavy"], second["after"]) == ([], [])
    assert second["E"] == first["E"]

    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    third = in_new_process(law)
    assert "pymc" in third["heavy"]
    assert third["E"] == first["E"]
    assert kept.read_bytes() != content


@pytest.mark.fits
@pytest.mark.parametrize("damage", ["half", "bit", "empty"])
def test_damaged_files_of_the_cache_are_made_again(in_new_process, tmp_path, damage):
    first = in_new_process("mine")
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 100]
    assert {path.parent.name for path in files} == {"programs", "jax"}
    for path in files:
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 4
        path.write_bytes({"half": content[: len(content) // 2], "bit": content, "empty": b""}[damage])
    assert in_new_process("mine")["E"] == first["E"]


@pytest.mark.fits
def test_a_law_that_reads_another_constant_is_another_program(in_new_process, tmp_path):
    first, other = in_new_process("mine", "0.0"), in_new_process("mine", "0.3")
    assert "pymc" in other["heavy"]
    assert first["E"] != other["E"]
    assert len(list((tmp_path / "scalebayes" / "programs").iterdir())) == 2
    assert in_new_process("mine", "0.0") == {**first, "heavy": [], "after": []}


@pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")  # few draws, of which only the place matters
def test_a_law_whose_closure_changes_is_not_served_an_old_program():
    floor = 0.0

    def law(C, *, A, alpha):
        return floor + A * (C / 1e21) ** -alpha

    priors = {"A": sb.LogNormal(2.0, 1.0), "alpha": sb.LogNormal(0.1, 1.0)}
    runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss")
    draws = []
    for floor in (0.0, 1.0, 0.0):
        fit = sb.fit(law, runs, priors=priors, draws=50, discrepancy=None)
        expected = np.log(runs.y) - np.log(floor + _power(fit, runs))
        draws.append(fit.posterior["alpha"].to_numpy())
        assert np.median(np.abs(expected)) < 0.1
        at = sb.forecast(fit, at={"C": 1e21}).draws
        assert float(at["mean_response"].mean()) == pytest.approx(floor + float(fit.posterior["A"].mean()), rel=1e-6)
    assert draws[0].tobytes() == draws[2].tobytes() != draws[1].tobytes()


def _power(fit, runs):
    A, alpha = (float(fit.posterior[name].median()) for name in ("A", "alpha"))
    return A * (runs.x("C") / 1e21) ** -alpha


def test_a_specification_is_named_by_everything_that_shapes_it():
    from scalebayes.fits.preparing import prepare

    table = sb.pile_families()
    runs = sb.read_runs(table, inputs={"C": "flops"}, response="loss")
    grouped = sb.read_runs(table, inputs={"C": "flops"}, response="loss", group="family")
    models = [
        sb.Model(sb.laws.power_floor, runs, discrepancy=None),
        sb.Model(sb.laws.power_floor, grouped, discrepancy=None),
        sb.Model(sb.laws.power_floor, runs, observation="gaussian", discrepancy=None),
        sb.Model(sb.laws.power_floor, grouped, pooling="separate", discrepancy=None),
    ]
    names = [prepare(model).source.name for model in models]
    assert len(set(names)) == len(names)
    assert all("0x" not in name for name in names)
    wider = sb.Model(sb.laws.power_floor, runs, priors={"alpha": sb.LogNormal(0.3, 2.0)}, discrepancy=None)
    assert prepare(wider).source.name == names[0]


def test_a_process_keeps_a_few_shapes_and_makes_the_others_again():
    traced = []

    def double(x):
        traced.append(x.shape)
        return 2 * x

    program = programs.once(lambda: lambda x: double(x), "")
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
    names = [
        prepare(sb.Model(law, runs, priors=plain, discrepancy=None)).source.name
        for law in (sb.laws.power_floor, declared, other)
    ]
    assert "" not in names
    assert names[0] == names[1] != names[2]


def test_what_cannot_be_known_is_traced_anew_each_time():
    from scalebayes.fits.preparing import prepare

    numbers = iter(range(9))

    def law(C, *, A):
        return A + 0.0 * C * next(numbers)

    runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss")
    model = sb.Model(law, runs, priors={"A": sb.LogNormal(2.0, 1.0)}, discrepancy=None)
    first, second = prepare(model).source, prepare(model).source
    assert first.name == second.name == ""
    assert first != second
