"""Real faults of real processes: full disks, signals at any moment, two at once, a clock set back, a folder removed.

SCALEBAYES_FUZZ multiplies the numbers of signals, SCALEBAYES_FUZZ_SEED is another seed.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import scalebayes as sb
from scalebayes.fits import sweeps

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")]  # few draws
TIMES = float(os.environ.get("SCALEBAYES_FUZZ", "1"))
SEED = int(os.environ.get("SCALEBAYES_FUZZ_SEED", "1"))
GUARD = 300  # seconds

SWEEP = """
import sys, warnings
import scalebayes as sb
warnings.simplefilter("ignore")
table = sb.pile_families()
models = {
    f"{family} {n}": sb.Model(
        sb.laws.power,
        sb.read_runs(table[table["family"] == family].head(n), inputs={"C": "flops"}, response="loss"),
        discrepancy=None,
    )
    for family in ("Pythia", "Cerebras-GPT")
    for n in (5, 6, 7)
}
if __name__ == "__main__":
    try:
        fleet = sb.fit_many(models, folder="sweep", draws=100, warmup=100, chains=2, seed=1)
    except (OSError, ValueError) as error:
        print(f"scalebayes: {error}", file=sys.stderr)
        raise SystemExit(2)
    except KeyboardInterrupt:
        raise SystemExit(130)
"""
FIT = ["fit", "runs.csv", "--law", "power_floor", "--input", "C=flops", "--response", "loss", "--discrepancy", "none"]
FIT += ["--draws", "100", "-o", "fit.nc", "--force"]
COMMANDS = {
    "fit": (FIT, "fit.nc"),
    "plot": (["plot", "given.nc", "-o", "picture.png", "--force"], "picture.png"),
    "misfit": (["misfit", "given.nc", "-o", "picture.svg", "--force"], "picture.svg"),
    "record": (["record", "given.nc", "-o", "record.json", "--force"], "record.json"),
    "redo": (["redo", "given.json", "-o", "fit.nc", "--force"], "fit.nc"),
}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder with a table, a fit and a record, and a cache with their programs."""
    folder = tmp_path_factory.mktemp("given")
    sb.pile_families().to_csv(folder / "runs.csv", index=False)
    (folder / "sweep.py").write_text(SWEEP)
    run(folder, FIT)
    (folder / "fit.nc").rename(folder / "given.nc")
    run(folder, COMMANDS["record"][0])
    (folder / "record.json").rename(folder / "given.json")
    subprocess.run([sys.executable, "sweep.py"], cwd=folder, env=environment(folder), check=True, timeout=GUARD)
    (folder / "sweep").rename(folder / "whole")
    return folder


@pytest.fixture
def folder(given, tmp_path):
    """A new folder with the same files, and the same cache."""
    for name in ("runs.csv", "sweep.py", "given.nc", "given.json"):
        shutil.copy(given / name, tmp_path)
    (tmp_path / "cache").symlink_to(given / "cache")
    return tmp_path


def environment(folder):
    return os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder)}


def started(folder, words, **settings):
    command = (
        [sys.executable, "-W", "ignore", "-m", "scalebayes", *words]
        if words != "sweep"
        else [sys.executable, "sweep.py"]
    )
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment(folder), **pipes, **settings)


def run(folder, words, **settings):
    process = started(folder, words, **settings)
    _, said = process.communicate(timeout=GUARD)
    assert "Traceback" not in said, said
    return process.returncode, said


def is_whole(path):
    """Whether a file is what a command writes, or what was there before."""
    content = path.read_bytes()
    if content == b"before":
        return True
    match path.suffix:
        case ".nc":
            return len(sb.load(path).posterior) > 0
        case ".png":
            return content.startswith(b"\x89PNG") and content.rstrip().endswith(b"IEND\xaeB`\x82")
        case ".svg":
            return content.rstrip().endswith(b"</svg>")
        case ".json":
            return sb.redo(path, progress=False).model is not None
    raise AssertionError(path)


def _limited(size):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return limit


@pytest.fixture
def small_disk(tmp_path_factory):
    """A disk of 64 kB, where one may be mounted."""
    place = tmp_path_factory.mktemp("disk")
    mounted = shutil.which("mount") and os.geteuid() == 0
    done = mounted and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True)
    if not done or done.returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_that_may_not_grow_is_one_line(folder, name):
    """No file may have more than 4,000 bytes."""
    words, output = COMMANDS[name]
    (folder / output).write_bytes(b"before")
    code, said = run(folder, words, preexec_fn=_limited(4_000))
    assert code == 2
    assert said.splitlines()[-1].startswith(
        f"scalebayes: '{output}' could not be written: File too large; nothing was left."
    )
    assert (folder / output).read_bytes() == b"before"
    assert not list(folder.glob(".scalebayes*"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line(folder, small_disk, name):
    words, output = COMMANDS[name]
    words = [str(small_disk / output) if word == output else word for word in words]
    (small_disk / output).write_bytes(b"before")
    (small_disk / "rest").write_bytes(bytes(50_000))
    code, said = run(folder, words)
    if name == "record" and code == 0:  # which is small
        assert is_whole(small_disk / output)
        return
    assert code == 2
    assert "could not be written: No space left on device; nothing was left" in said.splitlines()[-1]
    assert sorted(path.name for path in small_disk.iterdir()) == sorted([output, "rest"])
    assert (small_disk / output).read_bytes() == b"before"
    if name in ("fit", "redo"):  # it took time: it is kept elsewhere
        assert "The fit is in" in said
        assert len(list(folder.glob("fit-*.nc"))) == 1


def test_a_full_disk_ends_a_sweep_with_what_is_done(folder, small_disk):
    (folder / "sweep").symlink_to(small_disk)
    code, said = run(folder, "sweep")
    assert code == 2
    assert "No space left on device; nothing was left." in said
    assert "fits are whole in 'sweep'" in said
    for path in small_disk.glob("*.nc"):
        assert len(sb.load(path).posterior)
    assert not list(small_disk.glob(".scalebayes*"))


@pytest.mark.parametrize("which", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
@pytest.mark.parametrize("name", ["fit", "plot", "record"])
def test_a_signal_at_any_moment_leaves_what_was_there_or_what_is_whole(folder, name, which):
    words, output = COMMANDS[name]
    began = time.perf_counter()
    assert run(folder, words)[0] == 0
    whole, ended = time.perf_counter() - began, []
    rng = np.random.default_rng(SEED)
    for _ in range(round(50 * TIMES)):
        (folder / output).write_bytes(b"before")
        process = started(folder, words)
        time.sleep(rng.uniform(0.3, 1.1 * whole))
        process.send_signal(which)
        _, said = process.communicate(timeout=GUARD)
        assert is_whole(folder / output)
        if process.returncode in (-2, 1) and "scalebayes" not in said:
            continue  # Python itself had not started, or had ended
        assert process.returncode in ((0, -9) if which == signal.SIGKILL else (0, 130)), said
        assert "Traceback" not in said
        if process.returncode == 130:
            assert said.splitlines()[-1] == "scalebayes: interrupted"
            assert not list(folder.glob(".scalebayes*"))
        ended.append(process.returncode)
    assert run(folder, words)[0] == 0
    assert not list(folder.glob(".scalebayes*"))
    assert set(ended) != {0} or TIMES < 1  # some were hit; on a busy machine perhaps all
    assert len(ended) >= 0.8 * round(50 * TIMES) or TIMES < 1  # few came before Python had started, or after its end


@pytest.mark.parametrize("which", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_a_sweep_that_is_ended_at_any_moment_goes_on(folder, given, which):
    began = time.perf_counter()
    assert run(folder, "sweep")[0] == 0
    whole, rng = time.perf_counter() - began, np.random.default_rng(SEED)
    shutil.rmtree(folder / "sweep")
    for _ in range(round(50 * TIMES)):
        process = started(folder, "sweep")
        time.sleep(rng.uniform(0.3, 1.1 * whole))
        process.send_signal(which)
        process.communicate(timeout=GUARD)
        for path in (folder / "sweep").glob("*.nc"):
            assert len(sb.load(path).posterior)
        if rng.random() < 0.2:
            shutil.rmtree(folder / "sweep", ignore_errors=True)
    assert run(folder, "sweep")[0] == 0
    _same_sweep(folder / "sweep", given / "whole")


def _same_sweep(one, other):
    names = sorted(path.name for path in other.iterdir())
    assert sorted(path.name for path in one.iterdir()) == names
    for name in names:
        if name.endswith(".nc"):
            assert sb.load(one / name).posterior.identical(sb.load(other / name).posterior)
    assert (one / sweeps.PLAN).read_bytes() == (other / sweeps.PLAN).read_bytes()


def test_two_processes_with_one_output(folder):
    both = [started(folder, FIT) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=GUARD)
        assert process.returncode == 0, said
    assert is_whole(folder / "fit.nc")
    assert not list(folder.glob(".scalebayes*"))


def test_two_processes_with_one_new_cache(folder):
    (folder / "cache").unlink()
    both = [started(folder, [*FIT[:-2], f"{i}.nc"]) for i in range(2)]
    for process in both:
        _, said = process.communicate(timeout=GUARD)
        assert process.returncode == 0, said
    one, other = (sb.load(folder / f"{i}.nc") for i in range(2))
    assert one.posterior.identical(other.posterior)


def test_two_processes_with_one_sweep(folder, given):
    both = [started(folder, "sweep") for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=GUARD)
        # One may come while the other has made the folder and not yet its plan.
        assert process.returncode == 0 or "is not empty and holds no sweep" in said, said
    _same_sweep(folder / "sweep", given / "whole")


def test_a_clock_that_is_set_back(folder, given):
    """A year earlier in the middle of the fit, with files of the future in the cache and in the folder."""
    ahead = time.time() + 1e8
    for path in (given / "cache").rglob("*"):
        os.utime(path, (ahead, ahead))
    script = """
import sys, time
real, begun = time.time, time.time()
time.time = lambda: real() - (0 if real() < begun + 2 else 3e7)
from scalebayes.cli.app import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *FIT],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=GUARD,
    )
    assert done.returncode == 0, done.stderr
    assert sb.load(folder / "fit.nc").posterior.identical(sb.load(folder / "given.nc").posterior)


@pytest.mark.parametrize("seconds", [0.5, 2.0, 3.5])
def test_a_folder_that_is_removed_meanwhile(folder, seconds):
    (folder / "into").mkdir()
    words = [*FIT[:-2], "into/fit.nc", "--draws", "60000"]  # longer than it waits, on any machine
    process = started(folder, words)
    time.sleep(seconds)
    shutil.rmtree(folder / "into")
    _, said = process.communicate(timeout=GUARD)
    assert process.returncode == 2
    assert said.splitlines()[-1].startswith("scalebayes: ")
    assert "Traceback" not in said
    if "could not be written" in said:  # it had begun: the fit is kept
        (kept,) = folder.glob("fit-*.nc")
        assert is_whole(Path(kept))


def test_a_sweep_whose_folder_is_removed_meanwhile(folder):
    process = started(folder, "sweep")
    while not (folder / "sweep" / sweeps.PLAN).exists():
        assert process.poll() is None
        time.sleep(0.02)
    shutil.rmtree(folder / "sweep")
    _, said = process.communicate(timeout=GUARD)
    assert process.returncode == 2, said
    assert "could not be written: No such file or directory; nothing was left. 0 of 6 fits are whole in 'sweep'" in said
