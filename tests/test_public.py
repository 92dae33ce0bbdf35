"""The public names: documented, without pass-through arguments, cheap to import."""

import inspect
import subprocess
import sys
import time

import pytest

import scalebayes as sb

NAMES = [name for name in sb.__all__ if name != "laws"]
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


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'scalebayes' has no attribute 'nothing'"):
        sb.nothing  # noqa: B018
    assert "fit" in dir(sb)


def _seconds(*arguments):
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        best = min(best, time.perf_counter() - start)
    return best


@pytest.mark.parametrize("arguments", [("-c", "import scalebayes"), ("-m", "scalebayes", "--help")])
def test_start_up_is_quick(arguments):
    assert _seconds(*arguments) - _seconds("-c", "pass") < 0.5


def test_import_loads_nothing_heavy():
    script = "import sys, scalebayes; print({'jax', 'pymc', 'pandas', 'arviz', 'matplotlib'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "set()"
