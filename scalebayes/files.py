"""Files written whole or not at all; one that exists is replaced only on request."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import stat
import zlib
from pathlib import Path

from scalebayes.arguments import quoted

# The machine and the process that writes it: folders may be shared between machines.
_TEMPORARY = re.compile(r"\.scalebayes-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.tmp")


def check_free(path: Path, overwrite: bool, how: str) -> None:
    """Refuse a target that cannot be written, before anything is computed for it.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Whether a file of that name may be replaced.
    how : str
        What says so, for the message.

    Raises
    ------
    OSError
        If it is a folder or no regular file, if it exists (without ``overwrite``), or if nothing can be written in its
        folder under its name.
    """
    exists = os.path.lexists(path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:
        raise OSError(f"{str(path)!r} cannot be written: {_reason(error)}.") from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{str(path)!r} is a folder; name a file.")
    if not stat.S_ISREG(mode):
        raise FileExistsError(f"{str(path)!r} is no regular file; choose another name.")
    if exists and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; choose another name or say {how} to replace it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to write {path.name!r} into.")
    try:
        temporary = _temporary_in(path.parent)
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise type(error)(f"nothing can be written into {str(path.parent)!r}: {_reason(error)}.") from None


def check_regular(path: Path) -> None:
    """Refuse what cannot be read as a file.

    Raises
    ------
    OSError
        If there is no such file, or if it is a folder, a pipe, a device or a link that leads nowhere.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {quoted(str(path), 300)}.") from None
    except (OSError, ValueError) as error:
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise OSError(f"{quoted(str(path), 300)} cannot be read: {reason}.") from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{str(path)!r} is a folder; name a file.")
    if not stat.S_ISREG(mode):
        raise OSError(f"{str(path)!r} is a pipe or a device; write what it gives to a file, and name that.")


def write(path: Path, content: bytes | memoryview) -> None:
    """Write a file, whole or not at all: it is complete and on the disk before it has its name.

    What an earlier write that was killed has left in the folder is removed.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    content : bytes

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; then nothing is left, and what was there is as before.
    """
    _remove_left_over(path.parent)
    temporary = _temporary_in(path.parent)
    try:
        # Permissions as of any new file, less the umask.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise type(error)(f"{str(path)!r} could not be written: {_reason(error)}; nothing was left.") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).rstrip(".")


def _temporary_in(folder: Path) -> Path:
    # Short, so that a name which fits the file system is not too long while it is written.
    return folder / f".scalebayes-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def _machine() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _remove_left_over(folder: Path) -> None:
    """Remove temporary files of processes of this machine that have ended."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            found = _TEMPORARY.fullmatch(name)
            if found and found[1] == _machine() and not _alive(int(found[2])):
                with contextlib.suppress(OSError):
                    (folder / name).unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Make a new name last; some file systems cannot."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
