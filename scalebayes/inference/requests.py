"""What the sampling of one table asks for: a generator yields a request and is sent the answer."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np

from scalebayes.inference.trajectories import State
from scalebayes.inference.transport import Geometry


class Look(NamedTuple):
    """A request for the log density and its gradient; the answer is two arrays, shapes (point,) and (point, size).

    Parameters
    ----------
    z : array, shape (point, size)
        Whitened coordinates.
    geometry : Geometry
    """

    z: np.ndarray
    geometry: Geometry


class Move(NamedTuple):
    """A request for trajectories of all chains; the answer is a `State` and a `Trace`.

    Parameters
    ----------
    state : State
        With a leading table dimension of 1.
    momenta : array, shape (trajectory, chain, size)
    chances : array, shape (trajectory, chain)
        Uniform numbers that decide whether an end is accepted.
    steps : array of int, shape (trajectory,)
        Numbers of steps.
    step_size : float
    geometry : Geometry
    """

    state: State
    momenta: np.ndarray
    chances: np.ndarray
    steps: np.ndarray
    step_size: float
    geometry: Geometry


class Climb(NamedTuple):
    """A request for climbs to modes; the answer is `scalebayes.inference.modes.Ends`.

    Parameters
    ----------
    starts : array, shape (start, size)
        Whitened coordinates; every table has as many starts.
    geometry : Geometry
    most : int
        Steps after which a climb ends.
    """

    starts: np.ndarray
    geometry: Geometry
    most: int


class Leave(NamedTuple):
    """A request to be served alone from now on, by a table that needs more than the others; there is no answer."""


Request = Look | Climb | Move | Leave
Requests = Generator[Request, Any, Any]
