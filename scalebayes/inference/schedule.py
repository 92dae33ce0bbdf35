"""The schedule of a chain: how long its trajectories are, and what each step adapts."""

from __future__ import annotations

import numpy as np

# Mean length of a fixed-length trajectory. With a jitter of 0.5 to 1.5 times this length, a normal coordinate is
# forgotten if its standard deviation lies between 0.4 and 3.
LENGTH = 3.0
# From so many coordinates on, a trajectory consists of steps with two gradients each.
MANY = 256
# The mean length of these: about a quarter of a normal coordinate's period, which also forgets the distance from the
# mean. Half a period changes only a coordinate's sign. The distance that it keeps would set the largest r-hat of
# thousands of numbers.
SHORT = 1.7

# Steps in one call of a program; one compilation serves any number of steps.
CHUNK = 50

# What a step adapts. FAST: the step size. SLOW: also gathers draws for the mass matrix. SLOW_END: also sets the mass
# matrix from them. DRAW: nothing.
FAST, SLOW, SLOW_END, DRAW = range(4)


def warmup(length: int) -> np.ndarray:
    """The stages of a warm-up that also adapts the mass matrix, in Stan's windows."""
    from blackjax.adaptation.window_adaptation import build_schedule  # slow to import, and often not needed

    kind, ends = np.asarray(build_schedule(length)).T
    return kind + ends
