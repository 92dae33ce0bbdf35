"""Real faults of a command in a process of its own."""

import subprocess
import sys

import pytest

import scalebayes as sb

LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
from scalebayes.cli.app import main
main()
"""


@pytest.mark.fits
def test_a_full_disk_is_one_line(tmp_path):
    """No file of more than 20,000 bytes can be written, as on a disk that is full: neither the fit nor a picture."""
    sb.pile_families().to_csv(tmp_path / "runs.csv", index=False)
    (tmp_path / "fit.nc").write_text("before")
    options = ["--law", "power_floor", "--input", "C=flops", "--response", "loss", "--draws", "100"]
    command = ["fit", "runs.csv", *options, "--discrepancy", "none", "-o", "fit.nc", "--force"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *command], capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last == "scalebayes: 'fit.nc' could not be written: File too large; nothing was left."
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"runs.csv", "fit.nc"}
    assert (tmp_path / "fit.nc").read_text() == "before"
