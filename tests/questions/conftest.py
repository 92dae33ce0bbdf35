import pytest

import scalebayes as sb


@pytest.fixture(scope="session")
def power_alone(made_fit, power_runs):
    """Makes a fit of a power law to one curve without groups; each parameter is a row of draws."""

    def fit(A, alpha, response="loss"):
        table = power_runs().table.iloc[:6].rename(columns={"loss": response})
        runs = sb.read_runs(table, inputs={"C": "flops"}, response=response)
        return made_fit(sb.Model(sb.laws.power, runs, discrepancy=None), {"A": A, "alpha": alpha})

    return fit


@pytest.fixture(scope="session")
def chinchillas(made_fit, grid_runs, hoffmann):
    """Makes a fit of a chinchilla law to two groups, with Hoffmann's constants except those changed."""

    def fit(**changed):
        values = {name: [value, value] for name, value in hoffmann.items()} | changed
        return made_fit(sb.Model(sb.laws.chinchilla, grid_runs(), discrepancy=None), values)

    return fit
