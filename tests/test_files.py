"""Whole messages: where no file is written."""

import pytest

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
