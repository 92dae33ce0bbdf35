import os
from pathlib import Path

import pytest

import scalebayes as sb

_FOLDER = Path(os.environ.get("SCALEBAYES_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def public_data():
    """Folder of the public tables; tests that need it are skipped where it is absent, and CI does not allow that."""
    if not _FOLDER.is_dir():
        if os.environ.get("SCALEBAYES_REQUIRE_DATA"):
            pytest.fail(f"the public tables are required, and there is no folder {_FOLDER}")
        pytest.skip("no public tables: set SCALEBAYES_DATA to their folder")
    return _FOLDER


def pytest_terminal_summary(terminalreporter):
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "no public tables" in str(r.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} tests skipped: they need the public tables (SCALEBAYES_DATA)")


@pytest.fixture(scope="session")
def pile_runs():
    return sb.read_runs(sb.pile_families(), inputs={"C": "flops"}, response="loss", group="family", run="model")


@pytest.fixture(scope="session")
def pile_fit(pile_runs):
    """The one real fit that tests of questions, plots and the command line share."""
    return sb.fit(sb.laws.power_floor, pile_runs, draws=500, chains=4, seed=1)


@pytest.fixture(scope="session")
def fit_file(pile_fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("fits") / "pile.nc"
    pile_fit.save(path)
    return path


@pytest.fixture(scope="session")
def chinchilla_runs(public_data):
    return sb.read_runs(
        public_data / "chinchilla_besiroglu.csv",
        inputs={"N": "n_params", "D": "n_tokens"},
        response="loss",
        where="epoch_excluded == 0",
    )


@pytest.fixture(scope="session")
def chinchilla_fit(chinchilla_runs):
    return sb.fit(sb.laws.chinchilla, chinchilla_runs)
