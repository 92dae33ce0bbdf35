"""The data of a density: what its functions take besides a position."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Data = Mapping[str, np.ndarray]
# The data that say which runs are real, where copies pad a table; without them all runs are real.
REAL = "run_is_real"
