"""Tables to learn on: small published ones that come with the package, and where larger ones are.

>>> load("few_shot_curve").shape
(16, 2)
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["catalogue", "load"]


def catalogue() -> pd.DataFrame:
    """What tables there are.

    Returns
    -------
    pandas.DataFrame
        Index ``name``; columns bundled (whether the table comes with the package), rows, subject, place (the public
        repository that it is from, and where in it), licence (of the original) and paper.

    Examples
    --------
    >>> bundled = catalogue().query("bundled")
    >>> bundled["rows"].to_dict()
    {'pile_families': 20, 'overtraining': 26, 'few_shot_curve': 16, 'hellaswag_ladder': 24}
    """
    return _read("catalogue").set_index("name")


def load(name: str) -> pd.DataFrame:
    """A table of published runs.

    A table that does not come with the package is read from ``name.csv`` in the folder that the environment variable
    ``SCALEBAYES_DATA`` names. Nothing is downloaded.

    Parameters
    ----------
    name : str
        One of the index of `catalogue`.

    Returns
    -------
    pandas.DataFrame
        Losses in nats per token and errors as shares where nothing else is said. Of the bundled tables:

        - ``pile_families``: family, model, n_params, n_tokens, flops, loss, source;
        - ``overtraining``: model, n_params, n_tokens, loss;
        - ``few_shot_curve``: n_samples, error;
        - ``hellaswag_ladder``: run, n_params, n_tokens, items, accuracy, bpb (bits per byte).

    Raises
    ------
    ValueError
        If there is no table of that name.
    FileNotFoundError
        If it is not bundled, and not in the folder; the message says where it is from.

    Examples
    --------
    >>> float(load("overtraining")["loss"].min())
    2.382
    """
    import pandas as pd

    known = catalogue()
    if name not in known.index:
        near = get_close_matches(str(name), known.index, 1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no table {name!r}{meant} sb.datasets.catalogue() lists them.")
    if known.loc[name, "bundled"]:
        return _read(name)
    folder = os.environ.get("SCALEBAYES_DATA", "")
    path = Path(folder) / f"{name}.csv"
    if not folder or not path.is_file():
        lacking = f"there is no {path}" if folder else "the variable SCALEBAYES_DATA names no folder"
        place, licence = (str(known.loc[name, column]) for column in ("place", "licence"))
        raise FileNotFoundError(
            f"{name} does not come with the package, and {lacking}. Nothing is downloaded: take it from {place} "
            f"(licence: {licence}), make one table of it, and put it there."
        )
    return pd.read_csv(path)


def _read(name: str) -> pd.DataFrame:
    import pandas as pd

    with resources.as_file(resources.files("scalebayes.datasets") / f"{name}.csv") as path:
        return pd.read_csv(path)
