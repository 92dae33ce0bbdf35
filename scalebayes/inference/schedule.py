"""How far a step of a chain goes, and what it does besides moving."""

from __future__ import annotations

import numpy as np

# Of trajectories that do not look where to turn. Half to one and a half of it forget a normal coordinate whose standard
# deviation lies between .4 and 3.
LENGTH = 3.0
# Coordinates from which on a trajectory is made of steps of two gradients each.
MANY = 256
# Their length: about a quarter of a normal coordinate's period, which forgets how far from the mean it was too. Half a
# period turns a coordinate over and keeps that distance, and the largest r-hat of thousands of numbers is one of it.
SHORT = 1.7

# Steps of a program; one compilation serves any number.
CHUNK = 50

# Adapt the step size; also gather the mass matrix; also use it; leave all as it is.
FAST, SLOW, SLOW_END, DRAW = range(4)


def warmup(length: int) -> np.ndarray:
    """A warm-up that adapts the mass matrix too, in Stan's windows."""
    from blackjax.adaptation.window_adaptation import build_schedule  # slow to import, and often not needed

    kind, ends = np.asarray(build_schedule(length)).T
    return kind + ends
