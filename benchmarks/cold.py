"""First answers: processor seconds of whole new processes with an empty cache, beside those of the imports alone.

``python benchmarks/cold.py`` prints a Markdown table and, unless given ``--smoke``, writes it into benchmarks/README.md.
With ``--against FOLDER`` another checkout of the package runs beside this one, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).parent
MARK, END = "<!-- first answers: written by make bench-cold -->", "<!-- end of first answers -->"
IMPORTS = "imports"


def chinchilla():
    """The Chinchilla law on 240 runs."""
    from cases import named

    case = named("chinchilla")
    return case.law, case.runs, dict(case.arguments)


def gadre():
    """Three corpora, all five parameters pooled."""
    from cases import named

    case = named("gadre")
    return case.law, case.runs, dict(case.arguments)


def readme():
    """Three model families, as in the README's script."""
    import scalebayes as sb

    runs = sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family")
    return sb.laws.power_floor, runs, {}


def repeated():
    """A law of the user's with three inputs: repeated data (Muennighoff et al. 2023, arXiv:2305.16264)."""
    import jax.numpy as jnp
    import pandas as pd
    from cases import table_at

    import scalebayes as sb

    def law(N, D, U, *, E, A, B, alpha, beta, R):
        repeated = D / U - 1
        return E + A * N**-alpha + B * (U * (1 + R * (1 - jnp.exp(-repeated / R)))) ** -beta

    table = pd.read_csv(table_at("repeated", "datablations_final.csv")).query("epochs <= 60 and loss < 6")
    columns = {"N": "n_params", "D": "n_tokens", "U": "n_unique_tokens"}
    share = sb.ResponseShare(0.3, 1.0, floor="E")
    priors = {
        "E": sb.FloorShare(1.4, 0.8),
        "A": sb.Anchored(share, input="N", exponent="alpha"),
        "B": sb.Anchored(share, input="D", exponent="beta"),
        "alpha": sb.LogNormal(0.35, 0.4),
        "beta": sb.LogNormal(0.35, 0.4),
        "R": sb.LogNormal(10.0, 1.0),
    }
    return law, sb.read_runs(table, inputs=columns, response="loss"), {"priors": priors}


def drifting(curves: int, points: int):
    """Published few-shot curves of image models, each thinned to some points, with drift."""
    import pandas as pd
    from cases import table_at

    import scalebayes as sb

    table = pd.read_csv(table_at("drift", "revisiting_benchmark.csv")).query("is_train == 1 and domain == 'IC'")
    names = sorted(name for name, rows in table.groupby("curve_id") if len(rows) >= points)[:curves]
    parts = []
    for name in names:
        rows = table[table["curve_id"] == name].sort_values("n_samples")
        parts.append(rows.iloc[np.linspace(0, len(rows) - 1, points).round().astype(int)])
    group = "curve_id" if curves > 1 else None
    runs = sb.read_runs(pd.concat(parts), inputs={"D": "n_samples"}, response="loss", group=group)
    return sb.laws.power_floor, runs, {"discrepancy": "drift"}


def surface():
    """The 263 final runs of one published recipe (Porian et al. 2024), with a surface."""
    import pandas as pd
    from cases import COLUMNS, table_at

    import scalebayes as sb

    table = pd.read_csv(table_at("surface", "porian_isoflop.csv"))
    some = table.query("loss_split == 'val' and param_count == 'standard' and recipe == 'base_longwarmup_kaplandecay'")
    return sb.laws.chinchilla, sb.read_runs(some, inputs=COLUMNS, response="loss"), {"discrepancy": "surface"}


def surface_of_chinchilla():
    """The Chinchilla law on 240 runs, with a surface."""
    law, runs, _ = chinchilla()
    return law, runs, {"discrepancy": "surface"}


# What is fitted, whether a whole script runs instead, and by how much a first fit may exceed the imports.
CASES: dict[str, tuple[str, Callable]] = {
    "chinchilla": ("`scalebayes fit`, chinchilla, 240 runs", chinchilla),
    "readme": ("README's script: power_floor, 3 groups, 20 runs, with forecast, reach, plot", readme),
    "gadre": ("gadre, 3 corpora, five pooled parameters, 98 runs", gadre),
    "repeated": ("a user's law of three inputs, 142 runs", repeated),
    "drift": ("one curve with drift, 24 runs", lambda: drifting(1, 24)),
    "drifts": ("14 pooled curves with drift, 140 runs", lambda: drifting(14, 10)),
    "surface": ("chinchilla with a surface, 263 runs", surface),
    "surface 240": ("chinchilla with a surface, 240 runs", surface_of_chinchilla),
}
BESIDE = {
    "refits chinchilla": "least squares beside it, 1000 bootstrap refits",
    "refits readme": "least squares beside it, 1000 bootstrap refits",
}


def job(name: str, fits: int) -> dict:
    """Run a case in this process; processor seconds, wall seconds and ESS of each fit."""
    import scalebayes as sb

    kind, _, which = name.partition(" ")
    if kind == "refits":
        refits(which)
        return {}
    if name == "readme" and fits == 1:
        script = re.search(r"```python\n(import scalebayes.*?)```", (HERE.parent / "README.md").read_text(), re.DOTALL)
        assert script is not None
        exec(compile(script.group(1), "README.md", "exec"), {})
        return {}
    law, runs, arguments = CASES[name][1]()
    found: dict[str, list[float]] = {"seconds": [], "wall": [], "ess": []}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sb.ConvergenceWarning)
        for seed in range(fits):
            begun = time.process_time(), time.perf_counter()
            fit = sb.fit(law, runs, seed=seed, progress=False, **arguments)
            found["seconds"].append(time.process_time() - begun[0])
            found["wall"].append(time.perf_counter() - begun[1])
            found["ess"].append(fit.diagnostics.min_ess_bulk)
    return found


def refits(which: str) -> None:
    """What the two simplest cases are fitted with elsewhere: robust least squares, refitted to 1000 bootstrap samples."""
    if which == "chinchilla":
        from cases import named
        from least_squares import refits as of_chinchilla

        of_chinchilla(named("chinchilla"), 1000, 0)
        return
    from scipy.optimize import least_squares

    _, runs, _ = readme()
    rng = np.random.default_rng(0)
    for level in runs.levels:
        rows = runs.rows(level)
        x, y = np.log(runs.x("C")[rows] / 1e21), np.log(runs.y[rows])

        def residuals(theta, x, y):
            return np.logaddexp(theta[0], theta[1] - np.exp(theta[2]) * x) - y

        start = np.asarray([y.min() - 0.3, y.mean() - 1.0, np.log(0.2)])
        begin = least_squares(residuals, start, loss="huber", f_scale=1e-3, args=(x, y)).x
        for _ in range(1000):
            i = rng.integers(len(x), size=len(x))
            least_squares(residuals, begin, loss="huber", f_scale=1e-3, args=(x[i], y[i]), max_nfev=200)


def command_of(name: str, output: Path, fits: int) -> list[str]:
    """The command of a whole process."""
    if name == IMPORTS:
        return ["-c", "import jax, pymc"]
    if name == "jax":
        return ["-c", "import jax"]
    if name == "chinchilla" and fits == 1:
        from cases import table_at

        words = ["-m", "scalebayes", "fit", str(table_at("chinchilla", "chinchilla_besiroglu.csv"))]
        words += ["--law", "chinchilla", "--input", "N=n_params", "--input", "D=n_tokens", "--response", "loss"]
        return [*words, "--where", "epoch_excluded == 0", "--force", "-o", str(output / "fit.nc")]
    return [str(HERE / "cold.py"), "--job", name, "--fits", str(fits)]


def processed(name: str, cache: Path, package: Path, fits: int = 1) -> tuple[float, float, str]:
    """Processor and wall seconds of a whole process, and what it prints."""
    flags = ",".join(filter(None, [os.environ.get("PYTENSOR_FLAGS", ""), f"base_compiledir={cache}"]))
    own = {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(package), "PYTENSOR_FLAGS": flags, "MPLBACKEND": "Agg"}
    command = [sys.executable, *command_of(name, cache, fits)]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, cwd=cache)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, wall, done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "{}"


def measured(name: str, package: Path) -> dict[str, float]:
    """One case once: a process with an empty cache, one with the cache of the first, and a second fit in a process."""
    with tempfile.TemporaryDirectory() as folder:
        cold, wall, _ = processed(name, Path(folder), package)
        if name in (IMPORTS, "jax") or name in BESIDE:
            return {"cold": cold, "wall": wall}
        warm, _, _ = processed(name, Path(folder), package)
        second = json.loads(processed(name, Path(folder), package, fits=3)[2])
    rate = median(ess / s for ess, s in zip(second["ess"][1:], second["seconds"][1:], strict=True))
    return {"cold": cold, "wall": wall, "warm": warm, "second": median(second["seconds"][1:]), "rate": rate}


def table(found: Mapping[str, list[dict[str, float]]]) -> list[str]:
    """The lines of the table, medians over the rounds."""
    imports = median(each["cold"] for each in found[IMPORTS])
    lines = [
        "| empty cache, a whole new process | s | times the imports | wall s | s, cache warm | s, second fit in a process "
        "| ESS per s of it |",
        "|---|---:|---:|---:|---:|---:|---:|",
        f'| `python -c "import jax, pymc"` | {imports:.1f} | 1 | | | | |',
        f'| `python -c "import jax"` | {median(each["cold"] for each in found["jax"]):.1f} | | | | | |',
    ]
    for name, rounds in found.items():
        if name in (IMPORTS, "jax"):
            continue
        cells = {key: median(each[key] for each in rounds) for key in rounds[0]}
        what = BESIDE.get(name) or CASES[name][0]
        line = f"| {what} | {cells['cold']:.1f} | {cells['cold'] / imports:.1f} | {cells['wall']:.1f} |"
        if name in BESIDE:
            lines.append(f"{line} | | |")
        else:
            lines.append(f"{line} {cells['warm']:.1f} | {cells['second']:.2f} | {cells['rate']:.0f} |")
    return lines


def main() -> None:
    """Every case in processes of its own, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="smallest setting, nothing written")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", choices=CASES, action="append", help="only this case; may be repeated")
    parser.add_argument(
        "--against", type=Path, help="another checkout of the package, measured in turn; nothing written"
    )
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--fits", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        print(json.dumps(job(arguments.job, arguments.fits)))
        return
    names = arguments.case or (["readme"] if arguments.smoke else list(CASES))
    order = [IMPORTS, "jax"]
    for name in names:
        order += [name, f"refits {name}"] if f"refits {name}" in BESIDE else [name]
    sides = [HERE.parent, *([arguments.against.resolve()] if arguments.against else [])]
    found: dict[Path, dict[str, list[dict[str, float]]]] = {side: {name: [] for name in order} for side in sides}
    for turn in range(1 if arguments.smoke else arguments.rounds):
        for name in order:
            for side in sides:
                print(f"{name}, round {turn + 1}, {side.name}", file=sys.stderr, flush=True)
                found[side][name].append(measured(name, side))
    for side, of_side in found.items():
        lines = table(of_side)
        print(f"{side.name}\n\n" + "\n".join(lines) + "\n" if len(sides) > 1 else "\n".join(lines))
    if not (arguments.smoke or arguments.case or arguments.against):
        write(table(found[sides[0]]), arguments.rounds)


def write(lines: list[str], rounds: int) -> None:
    """Write the table to the README."""
    from page import commit, recorded

    readme_page = HERE / "README.md"
    before, rest = readme_page.read_text().split(MARK)
    note = f"Processor seconds (user and system) of whole processes; medians of {rounds} rounds."
    readme_page.write_text(f"{before}{MARK}\n\n{note}\n\n" + "\n".join(lines) + f"\n\n{END}{rest.split(END)[1]}")
    recorded("README.md", "First answers", commit("README.md"))


if __name__ == "__main__":
    main()
