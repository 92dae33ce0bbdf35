"""The same seed gives the same numbers in another process, and with another number of processors."""

import os
import subprocess
import sys

import pytest

import scalebayes as sb

pytestmark = pytest.mark.slow
# The child takes its processors itself, before anything is loaded: this process may have threads, and must not be forked.
SCRIPT = """
import os, sys, warnings
os.sched_setaffinity(0, {int(word) for word in sys.argv[2:]} or os.sched_getaffinity(0))
import scalebayes as sb
warnings.simplefilter("ignore")
runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family")
sizes = sb.read_runs(sb.pile_families(), inputs={"N": "n_params", "D": "n_tokens"}, response="loss")
for name, fit in {
    "law alone": lambda: sb.fit(sb.laws.power_floor, runs, discrepancy=None, seed=5),
    "drift": lambda: sb.fit(sb.laws.power_floor, runs, draws=300, seed=5),
    "surface": lambda: sb.fit(sb.laws.chinchilla, sizes, draws=300, seed=5),
}.items():
    fit().save(f"{sys.argv[1]} {name}.nc")
"""


def _run(folder, name, processors=()):
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / f"cache of {name}")}
    command = [sys.executable, "-c", SCRIPT, name, *map(str, processors)]
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=1200)


def test_processes_and_processors(tmp_path):
    _run(tmp_path, "one")
    _run(tmp_path, "other")
    _run(tmp_path, "one processor", [min(os.sched_getaffinity(0))])
    for kind in ("law alone", "drift", "surface"):
        one, other, alone = (
            sb.load(tmp_path / f"{name} {kind}.nc").posterior for name in ("one", "other", "one processor")
        )
        assert one.identical(other), kind
        for name in one:
            difference = float(abs(one[name] - alone[name]).max() / one[name].std())
            print(kind, name, difference)
            assert difference == 0.0, (kind, name, difference)
