"""Whole messages about files that hold no fit."""

import pytest
import xarray as xr

import scalebayes as sb

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")

FILE_NEEDED = "a file written by 'scalebayes fit' or Fit.save is needed."


def test_a_file_that_is_missing_is_refused(refuses, tmp_path):
    path = tmp_path / "missing"
    with refuses(FileNotFoundError, f"there is no file {str(path)!r}."):
        sb.load(path)


@pytest.fixture
def foreign(tmp_path):
    """A netCDF file that is no fit."""
    path = tmp_path / "foreign.nc"
    xr.Dataset({"temperature": ("x", [1.0, 2.0])}).to_netcdf(path, engine="h5netcdf")
    return path


def test_a_netcdf_file_of_something_else_is_refused(foreign, refuses):
    with refuses(ValueError, f"foreign.nc is a netCDF file, but holds no fit of scalebayes; {FILE_NEEDED}"):
        sb.load(foreign)


def test_a_truncated_netcdf_file_is_refused(foreign, refuses):
    whole = foreign.read_bytes()
    half = len(whole) // 2
    foreign.write_bytes(whole[:half])
    message = (
        f"foreign.nc cannot be read (Unable to synchronously open file (truncated file: eof = {half}, "
        f"sblock->base_addr = 0, stored_eof = {len(whole)})); it is truncated or no netCDF file: {FILE_NEEDED}"
    )
    with refuses(ValueError, message):
        sb.load(foreign)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100], ids=["empty", "garbage"])
def test_a_file_that_is_no_netcdf_file_is_refused(content, tmp_path, refuses):
    (tmp_path / "fit.nc").write_bytes(content)
    message = (
        "fit.nc cannot be read (Unable to synchronously open file (file signature not found)); "
        f"it is truncated or no netCDF file: {FILE_NEEDED}"
    )
    with refuses(ValueError, message):
        sb.load(tmp_path / "fit.nc")
