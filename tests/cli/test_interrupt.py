"""Ctrl-C on the command line: a real signal, at different times, ends with one line and exit code 130."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import scalebayes as sb

GUARD = 60  # seconds


def _works(process, seconds):
    """Wait until a process has worked for so long: on a busy machine Python itself may not have started before."""
    used, stat = 0.0, Path(f"/proc/{process.pid}/stat")
    while used < seconds and process.poll() is None:
        time.sleep(0.05)
        if not stat.exists():  # no Linux
            time.sleep(seconds)
            return
        fields = stat.read_text().rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_an_interrupted_fit_says_one_line_and_leaves_nothing(tmp_path, seconds):
    table, output = tmp_path / "runs.csv", tmp_path / "fit.nc"
    sb.pile_families().to_csv(table, index=False)
    command = [sys.executable, "-m", "scalebayes", "fit", str(table), "--law", "power_floor", "--input", "C=flops"]
    command += ["--response", "loss", "--group", "family", "--draws", "200000", "-o", str(output)]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _works(process, seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=GUARD)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "scalebayes: interrupted"
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["runs.csv"]


_LOADING = """
import os, signal, sys, types
from scalebayes.__main__ import main

def run():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(10**8):
            pass
    except KeyboardInterrupt:
        if {interrupted}:
            sys.excepthook(*sys.exc_info())  # as a compiled library prints it
    raise ImportError("multiarray failed to import")

if not {interrupted}:
    os.kill = lambda *_: None
    range = lambda n: ()
sys.modules["scalebayes.cli.app"] = types.SimpleNamespace(main=run)
main()
"""


@pytest.mark.parametrize("interrupted", [True, False])
def test_an_interrupt_that_a_library_turns_into_an_error_is_one(interrupted):
    script = _LOADING.format(interrupted=interrupted)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=GUARD)
    if interrupted:
        assert (done.returncode, done.stderr) == (130, "scalebayes: interrupted\n")
    else:
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == "ImportError: multiarray failed to import"
