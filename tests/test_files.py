"""Files are written whole or not at all, and whole messages say where none is written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalebayes import files
from scalebayes.files import check_free, write

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")


def test_a_file_is_not_replaced_unasked(tmp_path, refuses, a_fit):
    path = tmp_path / "fit.nc"
    path.write_text("mine")
    with refuses(FileExistsError, f"{str(path)!r} exists; choose another name or say overwrite=True to replace it."):
        a_fit().save(path)
    assert path.read_text() == "mine"


def test_a_file_in_a_folder_that_is_not_there_is_refused(tmp_path, refuses, a_fit):
    folder = tmp_path / "fits"
    with refuses(FileNotFoundError, f"there is no folder {str(folder)!r} to write 'fit.nc' into."):
        a_fit().save(folder / "fit.nc")


def test_what_cannot_be_written_is_refused_before_anything_is_computed(tmp_path, refuses):
    with refuses(OSError, f"{str(tmp_path / ('x' * 300))!r} cannot be written: File name too long."):
        check_free(tmp_path / ("x" * 300), False, "--force")
    pipe = tmp_path / "pipe.nc"
    os.mkfifo(pipe)
    with refuses(FileExistsError, f"{str(pipe)!r} is no regular file; choose another name."):
        check_free(pipe, True, "--force")
    loop = tmp_path / "loop.nc"
    loop.symlink_to(loop)
    with refuses(OSError, f"{str(loop)!r} cannot be written: Too many levels of symbolic links."):
        check_free(loop, True, "--force")
    with pytest.raises(OSError, match=r"^nothing can be written into '/proc': "):
        check_free(Path("/proc/fit.nc"), False, "--force")
    # A name that just fits is none too long while it is written.
    longest = tmp_path / ("x" * 252 + ".nc")
    check_free(longest, False, "--force")
    write(longest, b"all")
    assert longest.read_bytes() == b"all"


def test_a_file_that_cannot_be_completed_leaves_what_was_there(tmp_path):
    """In a process of its own whose files may have 10,000 bytes: what a full disk does to it."""
    script = """
import resource, signal, sys
from pathlib import Path
from scalebayes.files import write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
try:
    write(Path("fit.nc"), b"x" * 1_000_000)
except OSError as error:
    print(error)
"""
    (tmp_path / "fit.nc").write_text("before")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.stdout == "'fit.nc' could not be written: File too large; nothing was left.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["fit.nc"]
    assert (tmp_path / "fit.nc").read_text() == "before"


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    script = """
import os, signal
from pathlib import Path
from scalebayes import files
files.os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
files.write(Path("fit.nc"), b"half")
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, timeout=60)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".scalebayes-")
    mine = files._temporary_in(tmp_path)
    mine.touch()  # of a process that is alive
    write(tmp_path / "fit.nc", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"fit.nc", mine.name}


def test_permissions_are_those_of_a_new_file(tmp_path):
    (tmp_path / "usual").touch()
    write(tmp_path / "fit.nc", b"all")
    assert (tmp_path / "fit.nc").stat().st_mode == (tmp_path / "usual").stat().st_mode
