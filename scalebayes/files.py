"""Atomic writes: a file is written whole or not at all, and replaces another only on request."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def check_free(path: Path, overwrite: bool, how: str) -> None:
    """Refuse a target that is a folder, that exists (without ``overwrite``), or whose folder does not exist."""
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; name a file.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; choose another name or say {how} to replace it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to write {path.name!r} into.")


class atomically:  # noqa: N801 - used as a statement
    """A temporary file beside the target; it replaces the target if the block succeeds, and is deleted if not."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __enter__(self) -> Path:
        handle, name = tempfile.mkstemp(
            prefix=f".{self.target.name}.", suffix=self.target.suffix, dir=self.target.parent
        )
        os.close(handle)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind, value, traceback) -> None:
        try:
            if kind is None:
                os.replace(self.temporary, self.target)
        finally:
            self.temporary.unlink(missing_ok=True)
