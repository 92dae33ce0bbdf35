"""Ctrl-C on the command line: a real signal, at different times, ends with one line and exit code 130."""

import os
import signal
import subprocess
import sys
import time

import pytest

import scalebayes as sb

GUARD = 60  # seconds


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_an_interrupted_fit_says_one_line_and_leaves_nothing(tmp_path, seconds):
    table, output = tmp_path / "runs.csv", tmp_path / "fit.nc"
    sb.pile_families().to_csv(table, index=False)
    command = [sys.executable, "-m", "scalebayes", "fit", str(table), "--law", "power_floor", "--input", "C=flops"]
    command += ["--response", "loss", "--group", "family", "--draws", "200000", "-o", str(output)]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=GUARD)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "scalebayes: interrupted"
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["runs.csv"]
