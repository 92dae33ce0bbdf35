"""The netCDF file of a fit: written in memory and sealed, and read only if it can have been written here.

The seal is a digest of all bytes before it, at the end of the file, where readers of the format do not look. It is
checked before anything else is read, because the reader of the format can hang on a damaged file.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import h5netcdf
import h5py
import numpy as np
import xarray as xr
from xarray.backends import H5NetCDFStore

from scalebayes.fits.digests import CONTENT, content_digest

_MOST = 1000  # groups in a file, or variables in a group
_SEAL = b"\nscalebayes sha256 "  # before the digest


def netcdf(tree: xr.DataTree) -> memoryview:
    """The bytes of a file that holds a tree and the digest of its content.

    In memory, because the writer of the format ends the process where a disk is full.
    """
    stored = tree.copy()
    stored.attrs[CONTENT] = content_digest(stored)
    content = io.BytesIO()
    # By stores of its own: `DataTree.to_netcdf` takes a lock by the name of the file where a Dask client runs, and
    # memory has no name.
    with h5netcdf.File(content, "w") as file:
        for node in stored.subtree:
            node.to_dataset(inherit=False).dump_to_store(H5NetCDFStore(file, group=node.path, mode="w"))
    seal = seal_of(content.getbuffer())
    content.seek(0, io.SEEK_END)
    content.write(seal)
    return content.getbuffer()


def seal_of(content: bytes | memoryview) -> bytes:
    """What follows the bytes of a file."""
    return _SEAL + hashlib.sha256(content).digest()


def is_sealed(path: Path) -> bool:
    """Whether a file ends with the seal of its bytes; not if it has none.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it ends with a seal, and that of other bytes.
    """
    content = path.read_bytes()
    length = len(seal_of(b""))
    body, seal = memoryview(content)[:-length], content[-length:]
    if not seal.startswith(_SEAL):
        return False
    if seal != seal_of(body):
        raise ValueError("its bytes are not those that were written")
    return True


def root_attributes(path: Path) -> dict[str, object]:
    """The attributes of a file that has no seal, of whatever made it; nothing else of it is read."""
    with h5py.File(path, "r") as file:
        # The writer of the format makes arrays of one number.
        return {
            name: value.item() if np.size(value) == 1 and hasattr(value, "item") else value
            for name, value in file.attrs.items()
        }


def read_netcdf(path: Path) -> xr.DataTree:
    """A tree from its file.

    Raises
    ------
    OSError, ValueError
        If it is no such file, is cut, or is built as no file written here is: groups in groups, links, data kept
        elsewhere, or data larger than the file.
    """
    _check(path)
    with xr.open_datatree(path, engine="h5netcdf") as opened:
        return opened.load()


def _check(path: Path) -> None:
    size = path.stat().st_size
    with h5py.File(path, "r") as file:
        total = 0
        for group in [file, *(found for found in _members(file) if isinstance(found, h5py.Group))]:
            for found in _members(group):
                if isinstance(found, h5py.Dataset):
                    if found.is_virtual or found.external:
                        raise ValueError(f"{found.name} keeps its data in another file")
                    total += 0 if _is_dimension(found) else found.size * found.dtype.itemsize
                elif not isinstance(found, h5py.Group) or group.name != "/":
                    raise ValueError(f"{found.name} is no array")
        if total > size:
            raise ValueError(f"its arrays would take {total / 1e6:.0f} MB, and the file has {size / 1e6:.1f}")


def _is_dimension(found: h5py.Dataset) -> bool:
    """Whether an array only says how long a dimension is: it has no data, and none is read."""
    name = found.attrs.get("NAME", b"")
    return bytes(name).startswith(b"This is a netCDF dimension but not a netCDF variable") if len(name) else False


def _members(group: h5py.Group) -> list[h5py.Group | h5py.Dataset]:
    if len(group) > _MOST:
        raise ValueError(f"{group.name} has {len(group):,} members")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link")
    return [group[name] for name in group]
