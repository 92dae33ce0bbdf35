"""What the functions of a density are given besides a position."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Data = Mapping[str, np.ndarray]
# Among the data: which runs are real, where others were added to make up a size; without it all are.
REAL = "run_is_real"
