"""Thousands of damaged, odd and malicious inputs: each is refused in one sentence, or means what it says.

SCALEBAYES_FUZZ multiplies the numbers of cases, SCALEBAYES_FUZZ_SEED is another seed. Each failure names its case.
"""

import gzip
import json
import os
import socket
import subprocess
import sys
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.checks import record as records
from scalebayes.fits import sweeps
from scalebayes.fits.netcdf import netcdf, seal_of
from scalebayes.inference import programs
from scalebayes.inference.settings import Settings
from scalebayes.runs.conditions import evaluated
from tests.hostile.guard import check, damaged

pytestmark = pytest.mark.slow
TIMES = float(os.environ.get("SCALEBAYES_FUZZ", "1"))
SEED = int(os.environ.get("SCALEBAYES_FUZZ_SEED", "1"))


def cases(n):
    """Numbers of cases with a random generator each; the seed is printed, for a failure."""
    n = max(1, round(n * TIMES))
    print(f"{n} cases, seed {SEED}")
    for i in range(n):
        yield i, np.random.default_rng((SEED, i))


@pytest.fixture(autouse=True)
def _in_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def good(n=12):
    return pd.DataFrame(
        {
            "n_params": np.geomspace(1e7, 1e9, n),
            "n_tokens": np.geomspace(1e11, 1e9, n),
            "flops": np.geomspace(1e18, 1e21, n),
            "loss": np.geomspace(3.5, 2.2, n),
            "family": np.repeat(["a", "b"], n // 2),
            "run": [f"run {i}" for i in range(n)],
        }
    )


ODD = [
    *(np.nan, None, pd.NA, pd.NaT, np.inf, -np.inf, 0, -1, 0.0, -0.0, 1e308, 1e-308, 5e-324, 10**400, -(10**30), 2**63),
    *(
        "",
        " ",
        "x",
        "1e9",
        "70B",
        "1,000",
        "nan",
        "inf",
        "ü\u202e\x00\x1b[31m",
        "a" * 100_000,
        "1" * 400,
        b"bytes",
        True,
    ),
    *(
        1j,
        Decimal("1.5"),
        Decimal("NaN"),
        Fraction(1, 3),
        pd.Timestamp(0),
        pd.Timedelta(1),
        pd.Period("2020"),
        object(),
    ),
    *([], [1, 2], {}, {"a": 1}, (1,), np.array([1.0, 2.0]), np.float16(1), np.int8(5), np.str_("s"), print, type),
]
NAMES = [
    *("n_params", "n_tokens", "flops", "loss", "family", "run"),
    "",
    " ",
    3,
    2.5,
    None,
    ("a", "b"),
    "chain",
    "draw",
    "x" * 300,
    "point",
]


def _odd_table(rng):
    table = good().astype(object)
    for _ in range(rng.integers(1, 4)):
        row, column = int(rng.integers(len(table))), int(rng.integers(len(table.columns)))
        match rng.integers(12):
            case 0 | 1 | 2:
                value = ODD[rng.integers(len(ODD))]
                cells = table.iloc[:, column].tolist()
                cells[row] = value
                table = table.assign(**{str(table.columns[column]): pd.Series(cells, dtype=object, index=table.index)})
            case 3:
                value = ODD[rng.integers(len(ODD))]
                table[table.columns[column]] = pd.Series([value] * len(table), dtype=object, index=table.index)
            case 4:
                table = table.rename(columns={table.columns[column]: NAMES[rng.integers(len(NAMES))]})
            case 5:
                table = table.iloc[:, rng.permutation(len(table.columns))[: rng.integers(len(table.columns) + 1)]]
            case 6:
                table = table.iloc[rng.integers(0, len(table), rng.integers(0, 2 * len(table)))]
            case 7:
                table = pd.concat([table, table.iloc[:, [column]]], axis=1)
            case 8:
                kind = ["float32", "Int64", "category", "string", "datetime64[ns]", "bool", "complex128"][
                    rng.integers(7)
                ]
                try:
                    table = table.astype({table.columns[column]: kind})
                except Exception:  # pandas cannot
                    continue
            case 9:
                table.index = [None] * len(table)
            case 10:
                table.columns = pd.MultiIndex.from_arrays([table.columns.astype(str), ["x"] * len(table.columns)])
                return table
            case 11:
                table = table.set_index(table.columns[column])
        if not len(table.columns) or not len(table):
            break
    return table


def test_tables(tmp_path):
    laws = [sb.laws.power_floor, sb.laws.chinchilla, sb.laws.power]
    accepted = 0
    for i, rng in cases(6000):
        try:
            table = _odd_table(rng)
        except (ValueError, TypeError):  # pandas itself makes no such table
            continue
        group = [None, "family", ["family", "run"], "run"][rng.integers(4)]
        inputs = [None, {"N": "n_params", "D": "n_tokens"}, {"C": "flops"}][rng.integers(3)]
        law = laws[rng.integers(len(laws))]

        def case(table=table, inputs=inputs, group=group, law=law):
            runs = sb.read_runs(table, inputs=inputs, response="loss", group=group)
            model = sb.Model(law, runs, discrepancy=None)
            return runs, model

        found = check(case, (i, SEED), tmp_path)
        if found:
            runs, _ = found
            accepted += 1
            assert len(runs) + runs.excluded == len(table)
            assert np.isfinite(runs.y).all()
            assert runs.y.tolist() == [float(value) for value in table["loss"]]
    assert accepted > 0.05 * 6000 * TIMES


def test_csv(tmp_path):
    content = good().to_csv(index=False).encode()
    accepted = 0
    for i, rng in cases(4000):
        path = tmp_path / f"{i}.csv"
        path.write_bytes(damaged(content, rng))
        found = check(lambda path=path: sb.read_runs(path, inputs={"C": "flops"}, response="loss"), (i, SEED), tmp_path)
        if found is not None:
            accepted += 1
            assert np.isfinite(found.y).all()
        path.unlink()
    assert accepted > 0


@pytest.mark.parametrize("kind", ["parquet", "csv.gz"])
def test_compressed(tmp_path, kind):
    path = tmp_path / f"good.{kind}"
    if kind == "parquet":
        good().to_parquet(path)
    else:
        path.write_bytes(gzip.compress(good().to_csv(index=False).encode()))
    content = path.read_bytes()
    for i, rng in cases(1500):
        path.write_bytes(damaged(content, rng))
        check(lambda: sb.read_runs(path, inputs={"C": "flops"}, response="loss"), (i, SEED), tmp_path)


def test_special_files(tmp_path, fit_file):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "nothing")
    (tmp_path / "link").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    fit = sb.load(fit_file)
    names = [
        "folder",
        "pipe",
        "loop",
        "nowhere",
        "link",
        "socket",
        "x" * 300,
        "a\x00b",
        "",
        ".",
        "..",
        "/",
        "/dev/zero",
        "/dev/full",
        "/proc/self/mem",
        "/dev/null/x",
        "\udcff",
        "nothing/x",
    ]
    record = sb.record(fit)
    uses = [sb.read_runs, sb.load, sb.redo, record.save, lambda p: record.save(p, overwrite=True)]
    for name in names:
        for suffix in ("",) if name.startswith("/") else ("", ".csv", ".parquet", ".nc", ".json", ".gz"):
            for use in uses:
                path = f"{name}{suffix}"
                written = check(lambda use=use, path=path: use(path) or "done", (name, suffix, use), tmp_path)
                if written == "done" and os.path.isfile(path):
                    os.unlink(path)


def test_conditions(tmp_path):
    """Random conditions: refused, or true or false for each row, and nothing is compiled or run."""
    table = good()
    words = [
        "loss",
        "flops",
        "family",
        "`n_params`",
        "index",
        "3",
        "1e9",
        "'a'",
        "None",
        "True",
        "[1, 2]",
        "(",
        ")",
        "[",
        "]",
    ]
    words += [
        ">",
        "<",
        "==",
        "!=",
        ">=",
        "=",
        "and",
        "or",
        "not",
        "in",
        "not in",
        "&",
        "|",
        "~",
        "+",
        "-",
        "*",
        "**",
        "/",
        "//",
        "%",
    ]
    words += [
        "@",
        "@os",
        "@np.load('x')",
        ".to_csv('x')",
        ".str",
        ".str.contains('a')",
        ".mean()",
        ".isin([1])",
        "__import__('os')",
    ]
    words += [
        "lambda: 0",
        "if",
        "else",
        "for",
        ":=",
        ";",
        "\n",
        "\\",
        "#",
        "{",
        "}",
        "'",
        '"',
        "f'{1}'",
        "9" * 50,
        "2**999",
        "é",
        "\x00",
    ]
    words += [
        ".__class__",
        ".values",
        ".eval('1')",
        ".pipe(print)",
        ".query('a')",
        "exec('1')",
        "open('x', 'w')",
        ".apply(print)",
    ]

    def case(where):
        try:
            kept = evaluated(where, table)
        except MemoryError:
            raise ValueError("too large") from None
        return kept

    for _, rng in cases(4000):
        where = " ".join(words[k] for k in rng.integers(len(words), size=rng.integers(1, 12)))
        check(lambda where=where: case(where), where, tmp_path)
        check(lambda where=where: sb.read_runs(table, inputs={"C": "flops"}, where=where), where, tmp_path)
    assert not list(tmp_path.iterdir())


def test_points(tmp_path, pile_fit):
    names = ["C", "flops", "N", "family", "group", "", 3, "loss", "x"]
    for i, rng in cases(1500):
        at = {names[rng.integers(len(names))]: ODD[rng.integers(len(ODD))] for _ in range(rng.integers(0, 4))}
        if rng.random() < 0.5:
            at["C"] = [[1e22], [1e22, ODD[rng.integers(len(ODD))]], ODD[rng.integers(len(ODD))]][rng.integers(3)]
        group = [None, "Pythia", ODD[rng.integers(len(ODD))]][rng.integers(3)]

        def case(at=at, group=group):
            return sb.forecast(pile_fit, at=at, group=group)

        found = check(case, (i, SEED, at), tmp_path)
        if found is not None:
            table = found.table
            assert np.isfinite(table[["median", "lower", "upper", "new_run_lower", "new_run_upper"]]).all(axis=None)
            assert (table["lower"] <= table["median"]).all()


OPTIONS = {
    "forecast": ["--at", "--group", "--prob", "--new-group", "--json", "--seed"],
    "reach": ["--target", "--axis", "--group", "--path", "--prob", "--json"],
    "crossover": ["--to", "--axis", "--path", "--json", "--prob"],
    "compare": ["--at", "--to", "--target", "--json", "--prob"],
    "misfit": ["--prob", "--json"],
    "summary": ["--prob", "--json"],
    "allocate": ["--budget", "--group", "--json"],
    "next-run": ["--at", "--to", "--json"],
    "record": ["-o", "--force", "--json"],
    "plot": ["-o", "--to", "--axis", "--force"],
}
VALUES = [
    "C=1e22",
    "C=1e400",
    "C=-1",
    "C=nan",
    "C=0",
    "N=3",
    "=",
    "C=",
    "C=1e22,C=2",
    "1e23",
    "-1",
    "0",
    "nan",
    "inf",
    "1e308",
    "x",
    "",
    "Pythia",
    "0.89",
    "1",
    "C",
    "D",
    "optimal",
    "ratio=20",
    "x" * 3000,
    "p.png",
    "p.xyz",
    "/nothing/p.png",
    "r.json",
    "\x1b[31m",
    "ü",
    "--",
    "-",
]


def test_options(tmp_path, fit_file, monkeypatch, capsys):
    from scalebayes.cli.app import main

    commands = list(OPTIONS)
    for _, rng in cases(1000):
        command = commands[rng.integers(len(commands))]
        words = [command, [str(fit_file), "nothing.nc", ""][rng.choice(3, p=[0.9, 0.05, 0.05])]]
        for _ in range(rng.integers(0, 4)):
            option = OPTIONS[command][rng.integers(len(OPTIONS[command]))]
            words.append(option)
            if option not in ("--json", "--force", "--new-group") or rng.random() < 0.05:
                words.append(VALUES[rng.integers(len(VALUES))])
        monkeypatch.setattr(sys, "argv", ["scalebayes", *words])

        def case():
            try:
                main()
            except SystemExit as end:
                return int(end.code or 0)
            return 0

        capsys.readouterr()
        code = check(case, words, tmp_path)
        said = capsys.readouterr()
        assert code in (0, 2), words
        if code == 2:
            lines = [line for line in said.err.splitlines() if line.strip()]
            assert lines[-1].startswith("scalebayes: "), (words, said.err)
            assert len(lines[-1]) < 2200, words
            assert said.out == "", words


def test_records(tmp_path, pile_fit, monkeypatch):
    """Damaged and edited records: refused, or a model whose data are those of the digest."""
    monkeypatch.setattr(
        records,
        "sample",
        lambda model, **settings: (
            model,
            Settings(**{k: v for k, v in settings.items() if k not in ("seed", "progress")}),
        ),
    )
    whole = sb.record(pile_fit).to_dict()
    content, path = json.dumps(whole).encode(), tmp_path / "record.json"
    for i, rng in cases(2000):
        if rng.random() < 0.5:
            path.write_bytes(damaged(content, rng))
        else:
            edited = json.loads(content)
            _edit(edited, rng)
            path.write_text(json.dumps(edited))
        found = check(lambda: sb.redo(path), (i, SEED), tmp_path)
        if found is not None:
            assert found[0].digest == pile_fit.model.digest


def test_sweep_folders(tmp_path, pile_fit):
    model = pile_fit.model
    models = {"a": model, "b": model}
    settings = Settings(draws=500)
    folder = tmp_path / "sweep"
    sweeps.open_folder(folder, models, settings, 1)
    from scalebayes.fits.many import _row

    for name in models:
        sweeps.write_fit(folder, name, pile_fit, _row(pile_fit))
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    alpha = pile_fit.posterior["alpha"].to_numpy()
    names = sorted(content)
    for i, rng in cases(1000):
        name = names[rng.integers(len(names))]
        changed = damaged(content[name], rng)
        (folder / name).write_bytes(changed)

        def case():
            sweeps.open_folder(folder, models, settings, 1)
            return sweeps.done_in(folder, models)

        done = check(case, (i, SEED, name), tmp_path)
        if done is not None and name.endswith(".nc") and changed != content[name]:
            assert set(done) == set(models) - {Path(name).stem}
        if i % 20 == 0:
            fit = check(lambda: sweeps.read_fit(folder, "a", model), (i, SEED, name), tmp_path)
            assert fit is None or (fit.posterior["alpha"].to_numpy() == alpha).all()
        (folder / name).write_bytes(content[name])


BATCH = """
import json, sys, time
from pathlib import Path
import numpy as np
import scalebayes as sb
from tests.hostile.guard import check, damaged
folder, path, first, last, seed = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
content, whole = path.read_bytes(), sb.load(path)
own = folder / f"damaged {first}.nc"
for i in range(first, last):
    own.write_bytes(damaged(content, np.random.default_rng((seed, i))))
    began = time.perf_counter()
    found = check(lambda: sb.load(own), (i, seed), folder)
    assert time.perf_counter() - began < 30, (i, seed)
    assert found is None or found.idata.identical(whole.idata), (i, seed)
    print(i, "as it was" if found else "refused", flush=True)
"""


def test_bytes_of_fits(tmp_path, fit_file):
    """In processes of their own: the reader of the format is compiled code, and could end the process."""
    n = max(1, round(1000 * TIMES))
    print(f"{n} cases, seed {SEED}")
    for first in range(0, n, 250):
        command = [sys.executable, "-c", BATCH, str(tmp_path), str(fit_file)]
        command += [str(first), str(min(n, first + 250)), str(SEED)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=3600)
        assert done.returncode == 0, (done.returncode, done.stdout[-300:], done.stderr[-2000:])


def _linked(file):
    file["posterior"]["round"] = file["/"]


def _soft(file):
    file["posterior"]["soft"] = h5py.SoftLink("/")


def _external(file):
    file["external"] = h5py.ExternalLink("/etc/passwd", "/")


def _sparse(file):
    file["posterior"].create_dataset("sparse", (4 * 10**11,), "f8", chunks=(1024,))


def _sparse_instead(file):
    del file["posterior"]["sigma"]
    file["posterior"].create_dataset("sigma", (10**6, 10**6), "f8", chunks=(1024, 1024))


def _bomb(file):
    file["posterior"].create_dataset("bomb", data=np.zeros(10**7), chunks=(10**6,), compression="gzip")


def _elsewhere(file):
    file["posterior"].create_dataset("raw", (10,), "f8", external=[("/etc/passwd", 0, 80)])


def _virtual(file):
    layout = h5py.VirtualLayout((10,), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10,))
    file["posterior"].create_virtual_dataset("virtual", layout)


def _deep(file):
    at = file["posterior"]
    for _ in range(300):
        at = at.create_group("g")


def _many(file):
    for i in range(20_000):
        file.create_group(f"g{i}")


def _committed(file):
    file["kind"] = np.dtype("f8")


def _long(file):
    file["posterior"].attrs.create("words", "x" * 60_000)


def _time(file):
    file["posterior"]["sigma"].attrs["units"] = "days since 1900-01-01"


def _scaled(file):
    file["posterior"]["sigma"].attrs["scale_factor"] = 2.0


def _filled(file):
    file["posterior"]["sigma"].attrs["_FillValue"] = file["posterior"]["sigma"][0, 0]


def _draw(file):
    file["posterior"]["alpha"][0, 0] += 1e-12


def _datum(file):
    file["constant_data"]["response"][0] *= 1.000001


def _word(file):
    file.attrs["model"] = file.attrs["model"].replace("0.25", "0.26")


def _gone(file):
    del file["prior"]


def _newer(file):
    file.attrs["format_version"] = 99


def _strange_version(file):
    file.attrs["format_version"] = "x" * 50_000


@pytest.mark.parametrize(
    "change",
    [
        *(_linked, _soft, _external, _sparse, _sparse_instead, _bomb, _elsewhere, _virtual, _deep, _many, _committed),
        *(_long, _time, _scaled, _filled, _draw, _datum, _word, _gone, _newer, _strange_version),
    ],
    ids=lambda change: change.__name__[1:],
)
def test_fits_that_were_edited(tmp_path, fit_file, change):
    path = tmp_path / "edited.nc"
    path.write_bytes(fit_file.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    for sealed in (False, True):  # someone may write the seal anew
        began = time.perf_counter()
        assert check(lambda: sb.load(path), (change.__name__, sealed), tmp_path) is None
        assert time.perf_counter() - began < 30
        path.write_bytes(path.read_bytes() + seal_of(path.read_bytes()))


def test_fits_of_which_the_digest_was_made_anew(tmp_path, pile_fit):
    """Someone may edit the words of a file and write its digest anew: no code runs, and no other error is raised."""
    path = tmp_path / "edited.nc"
    text = pile_fit.idata.attrs["model"]
    for i, rng in cases(300):
        tree = pile_fit.idata.copy()
        if rng.random() < 0.3:
            tree.attrs["model"] = damaged(text.encode(), rng).decode("latin1").replace("\0", " ")
        else:
            edited = json.loads(text)
            _edit(edited, rng)
            tree.attrs["model"] = json.dumps(edited)
        path.write_bytes(netcdf(tree))
        check(lambda: sb.load(path), (i, SEED), tmp_path)


def _edit(at, rng):
    """Replace one value in nested dictionaries and lists."""
    while isinstance(at, dict | list) and at:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = keys[rng.integers(len(keys))]
        if rng.random() < 0.3 or not isinstance(at[key], dict | list):
            at[key] = [None, 3, -1e300, "x", [], {}, {"is": "Popen"}, True, "x" * 10_000][rng.integers(9)]
            return
        at = at[key]


def test_kept_programs(tmp_path, monkeypatch):
    """A damaged program is not used; whole ones are."""
    path = tmp_path / "program"
    programs._write(path, b"a program" * 1000)
    content = path.read_bytes()
    for i, rng in cases(1000):
        changed = damaged(content, rng)
        path.write_bytes(changed)
        found = check(lambda: programs._read(path), (i, SEED), tmp_path)
        assert found is None or found == b"a program" * 1000


@pytest.mark.filterwarnings("ignore")
def test_kept_programs_of_every_kind_in_a_new_process(tmp_path):
    """Every file of the cache damaged: the fit is made, with the same numbers."""
    sb.pile_families().to_csv(tmp_path / "runs.csv", index=False)
    command = [sys.executable, "-m", "scalebayes", "fit", "runs.csv", "--law", "power_floor", "--input", "C=flops"]
    command += ["--response", "loss", "--discrepancy", "none", "--draws", "200", "-o", "fit.nc", "--force", "--json"]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    def fitted():
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    first = fitted()
    for _, rng in cases(8):
        for path in (tmp_path / "cache").rglob("*"):
            if path.is_file():
                path.write_bytes(damaged(path.read_bytes(), rng))
        assert fitted() == first
