"""Whole messages that refuse settings out of range, before anything is compiled."""

import pytest

import scalebayes as sb

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"draws": 0}, "draws is a whole number from 4 on, got 0."),
        ({"chains": 2.5}, "chains is a whole number from 1 on, got 2.5."),
        ({"seed": -1}, "seed is a whole number from 0 on, got -1."),
        ({"target_accept": 2}, "target_accept lies between 0 and 1, got 2."),
    ],
)
def test_a_setting_of_the_sampler_out_of_range_is_refused(setting, message, refuses, table):
    with refuses(ValueError, message):
        sb.fit(sb.laws.chinchilla, sb.read_runs(table()), **setting)
