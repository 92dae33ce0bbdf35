"""Tables of training runs: read, checked, thinned and divided."""

from scalebayes.runs.inputs import Input
from scalebayes.runs.runs import Runs

__all__ = ["Input", "Runs"]
