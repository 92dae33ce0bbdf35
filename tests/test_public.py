"""The public names: documented, without pass-through arguments, light to import."""

import inspect
import subprocess
import sys

import pytest

import scalebayes as sb

NAMES = [name for name in sb.__all__ if name not in ("datasets", "laws")]
HEAVY = {"arviz", "jax", "matplotlib", "numpy", "pandas", "pymc", "pytensor", "scipy", "xarray"}
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(sb, name))]


@pytest.mark.parametrize("name", NAMES)
def test_public_name_is_documented(name):
    text = inspect.getdoc(getattr(sb, name)) or ""
    assert len(text.splitlines()[0]) > 20


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_documents_each_parameter_and_passes_nothing_on(name):
    function = getattr(sb, name)
    text = inspect.getdoc(function)
    for parameter in inspect.signature(function).parameters.values():
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        assert parameter.name in text.split("Parameters\n")[1]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_has_an_example(name):
    assert ">>> " in inspect.getdoc(getattr(sb, name)).split("Examples\n")[1]


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'scalebayes' has no attribute 'nothing'"):
        sb.nothing  # noqa: B018
    assert "fit" in dir(sb)


@pytest.mark.parametrize(
    "arguments",
    [("-c", "import scalebayes"), ("-m", "scalebayes", "--help"), ("-m", "scalebayes", "fit", "--help")],
    ids=["import", "help", "help of a command"],
)
def test_start_up_imports_nothing_heavy(arguments):
    done = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "scalebayes" in imported
    assert not HEAVY & imported
