"""Commands run in this process, and what they print."""

import json
import sys
import warnings

import jax
import pytest

import scalebayes as sb
from scalebayes.cli import app
from scalebayes.fits import progress
from scalebayes.inference import sampling


@pytest.fixture
def run(monkeypatch, capsys, tmp_path_factory):
    """Runs a command in this process; returns its exit code, standard output and standard error."""

    def command(*arguments):
        # Set here, so that pytest undoes after the test what main() sets.
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "jax"))
        monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
        monkeypatch.setattr(progress, "_PATIENCE", 1e6)  # a busy machine says nothing about slow fits
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        monkeypatch.setattr(sys, "argv", ["scalebayes", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return command


@pytest.fixture
def answer(run):
    """Runs a command that must succeed quietly; returns what it printed."""

    def printed(*arguments):
        code, out, err = run(*arguments)
        assert (code, err) == (0, "")
        return out

    return printed


@pytest.fixture
def ask(answer):
    """Runs a command with --json; returns the object. NaN and Infinity are no JSON."""

    def of(*arguments):
        return json.loads(answer(*arguments, "--json"), parse_constant=pytest.fail)

    return of


@pytest.fixture
def refuses(run, monkeypatch):
    """Runs a command that must fail with one line, before a function is traced for JAX or the sampler is reached."""

    def sampled(*arguments, **settings):
        raise AssertionError("the sampler was reached")

    def whole(message, *arguments):
        monkeypatch.setattr(sampling, "sample", sampled)
        monkeypatch.delenv("SCALEBAYES_TRACEBACK", raising=False)
        before = jax.config.jax_no_tracing
        jax.config.update("jax_no_tracing", True)
        try:
            code, out, err = run(*arguments)
        finally:
            jax.config.update("jax_no_tracing", before)
        assert (code, out, err) == (2, "", f"scalebayes: {message}\n")

    return whole


@pytest.fixture(scope="module")
def table_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "pile.csv"
    sb.pile_families().to_csv(path, index=False)
    return path
