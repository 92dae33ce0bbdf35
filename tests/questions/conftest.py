import pytest
import xarray as xr

import scalebayes as sb


@pytest.fixture(scope="session")
def power_alone(by_hand, power_runs):
    """Makes a fit of a power law to one curve without groups, a row of draws."""

    def fit(A, alpha, response="loss"):
        table = power_runs().table.iloc[:6].rename(columns={"loss": response})
        model = sb.Model(sb.laws.power, sb.read_runs(table, inputs={"C": "flops"}, response=response))
        fit = by_hand(model, A=[A], alpha=[alpha])
        for group in ("posterior", "prior"):
            fit.idata[group] = xr.DataTree(fit.idata[group].to_dataset().squeeze("group", drop=True))
        return sb.Fit(model, fit.idata)

    return fit


@pytest.fixture(scope="session")
def floors(by_hand, power_runs):
    """Makes a fit of a power law with floor to each group."""

    def fit(E, A, alpha, groups="ab"):
        return by_hand(sb.Model(sb.laws.power_floor, power_runs(groups)), E=E, A=A, alpha=alpha)

    return fit


@pytest.fixture(scope="session")
def chinchillas(by_hand, grid_runs, hoffmann):
    """Makes a fit of a chinchilla law to two groups, Hoffmann's constants but for what is changed."""

    def fit(**changed):
        values = {name: [value, value] for name, value in hoffmann.items()} | changed
        return by_hand(sb.Model(sb.laws.chinchilla, grid_runs()), **values)

    return fit
