"""The published families that examples are about."""

from __future__ import annotations

import pandas as pd

from scalebayes.datasets import load


def pile_families() -> pd.DataFrame:
    """Test loss on the Pile of three published families of language models.

    Cerebras-GPT and its muP variants were trained on 20 tokens per parameter, Pythia on 3.0e11 tokens at every size.

    Returns
    -------
    pandas.DataFrame
        20 models: family, model, n_params (parameters), n_tokens (tokens), flops (training FLOPs as published), loss
        (test cross-entropy on the Pile, nats per token), source (who trained the model: ``dey2023``, the authors of the
        table, or ``biderman2023``, whose models they evaluated).

    Notes
    -----
    Losses and FLOPs: Dey et al. (2023), Cerebras-GPT, arXiv:2304.03208, table of zero-shot evaluations as corrected in
    the authors' model zoo. Sizes and tokens of Pythia: Biderman et al. (2023), arXiv:2304.01373.

    Examples
    --------
    >>> pile_families().groupby("family")["loss"].min().to_dict()
    {'Cerebras-GPT': 1.572, 'Cerebras-GPT-muP': 1.846, 'Pythia': 1.582}
    """
    return load("pile_families")
