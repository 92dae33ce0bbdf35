"""What no input may cause: a traceback of another kind, a hang, a write elsewhere, code that runs."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np

REFUSALS = (ValueError, TypeError, OSError)  # what a caller, and the command line, is told in one sentence
LONGEST = 2_000  # characters of a message
GUARD = 60  # seconds
_RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class", "socket.connect")
_CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.truncate", "shutil.rmtree")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_watched: list[tuple[Path, list[str]]] = []


class Hang(BaseException):
    """A case took longer than the guard."""


def _audit(event: str, arguments: tuple) -> None:
    if not _watched:
        return
    folder, found = _watched[-1]
    if event in _RUNS or (event in _CHANGES and not _inside(arguments[0], folder)):
        found.append(f"{event}{arguments!r}"[:200])
    elif event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITES and not _inside(path, folder):
            found.append(f"open to write {path!r}"[:200])


def _inside(path: object, folder: Path) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return True  # a descriptor that is open
    text = os.path.abspath(os.fsdecode(path))
    return text.startswith((str(folder), "/dev/null", "/proc/")) or text.endswith((".pyc", "__pycache__"))


@contextmanager
def watching(folder: Path):
    """Record what is run or written outside of a folder while the block runs; the hook stays, and does nothing else."""
    if not getattr(sys, "_scalebayes_audit", False):
        sys.addaudithook(_audit)
        sys._scalebayes_audit = True
    found: list[str] = []
    _watched.append((folder, found))
    try:
        yield found
    finally:
        _watched.pop()


def check(case: Callable[[], object], what: object, folder: Path, also: tuple = ()) -> object:
    """Run a case; None if it was refused in one sentence, else what it returned.

    Parameters
    ----------
    case : Callable
    what : object
        The case in words, for the failure.
    folder : Path
        Where it may write.
    also : tuple of exception types
        Further refusals.
    """

    def late(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(GUARD)
    # Compiled code that hangs does not hear of the alarm: the process ends.
    faulthandler.dump_traceback_later(2 * GUARD, exit=True, file=sys.__stderr__)
    shown, said = repr(what)[:500], "?"
    try:
        with watching(folder) as found, warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = case()
    except (*REFUSALS, *also) as error:
        result, said = None, str(error)
    except Hang:
        raise AssertionError(f"{shown}: no answer in {GUARD} s") from None
    except Exception as error:
        raise AssertionError(f"{shown}: {type(error).__name__}: {str(error)[:500]}") from error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()
    assert 0 < len(said) <= LONGEST, f"{shown}: a message of {len(said)} characters, {said[:300]}"
    assert not found, f"{shown}: {found}"
    return result


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with a few of them flipped, cut off, left out, repeated, zeroed or replaced."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if not data:
            break
        at = int(rng.integers(len(data)))
        size = int(min(2 ** rng.integers(0, 12), len(data) - at))
        match rng.integers(7):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data = data[:at]
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = data[at : at + size]
            case 4:
                data[at : at + size] = bytes(size)
            case 5:
                data[at : at + size] = rng.bytes(size)
            case 6:
                other = int(rng.integers(len(data)))
                data[at : at + size] = data[other : other + size]
    return bytes(data)
