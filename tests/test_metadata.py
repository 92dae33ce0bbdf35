"""What an index, a citation and a reader of the folder are shown agrees."""

import re
import tomllib
from pathlib import Path

import pytest

import scalebayes as sb

TOP = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_one_version_everywhere(project):
    assert project["version"] == sb.__version__
    cited = TOP / "CITATION.cff"
    if cited.exists():
        assert set(re.findall(r"^\s*version: (\S+)", cited.read_text(encoding="utf-8"), re.M)) == {sb.__version__}


def test_metadata_say_what_an_index_shows(project):
    assert {"Source", "Issues", "Changelog"} <= set(project["urls"])
    assert (
        f"Programming Language :: Python :: {project['requires-python'].removeprefix('>=')}" in project["classifiers"]
    )


def test_every_column_of_a_bundled_table_is_explained():
    said = sb.datasets.load.__doc__
    for name in sb.datasets.catalogue().query("bundled").index:
        assert f"``{name}``" in said
        for column in sb.datasets.load(name).columns:
            assert column in said
