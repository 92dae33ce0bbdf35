"""A table gets the same result in a batch as by itself, whatever the others request."""

from types import SimpleNamespace

import numpy as np

from scalebayes.inference.batching import Run, Steps, Whitening, serve
from scalebayes.inference.schedule import CHUNK
from scalebayes.numerics.precision import double_precision

SLOTS, CHAINS = 4, 2


def _move(carry, keys, first, schedule, target, geometry, data):
    """Each step adds an amount that depends on its number, stage, table and whitening."""
    (position,), (scale,) = carry, geometry
    numbers = first[:, None] + np.arange(schedule.shape[1])
    steps = (scale[:, None] * (numbers + 1e4 * schedule) + data["own"][:, None])[:, None, :]
    path = position[:, :, None] + np.cumsum(steps, axis=2)
    return (path[:, :, -1],), (path[..., None], {"lp": path})


def _fake(widths):
    def counted(*arguments):
        widths.append(len(arguments[1]))
        return _move(*arguments)

    return SimpleNamespace(
        advance_hmc=counted,
        advance_nuts=counted,
        from_draws=lambda pilot, geometry, data: (geometry[0] + pilot.mean((1, 2)),),
        start_nuts=lambda starts, geometry, data: (starts[:, :, 0],),
    )


def _table(own):
    return Run({"own": np.array([own])}, np.zeros((1, CHAINS, 2)), (np.ones(1),), (np.zeros((1, CHAINS)),), np.ones(1))


def _requests(run, lengths):
    """Requests for steps of these lengths, with a whitening after each."""
    parts, made = [], 0
    for i, length in enumerate(lengths):
        run, (z, stats) = yield Steps(run, i % 2 == 0, made, np.full(length, i), sum(lengths))
        assert z.shape[2] == stats["lp"].shape[2] == -(-length // CHUNK) * CHUNK
        parts.append(z[:, :, :length])
        made += length
        run = yield Whitening(run, z[:, :, -1], np.full((1, CHAINS, 1), float(i)))
    return np.concatenate(parts, axis=2)


def test_tables_in_a_batch_get_what_each_would_get_by_itself():
    wanted = {0: [CHUNK, 30], 1: [3 * CHUNK], 3: [120, CHUNK, 2 * CHUNK]}
    widths = []
    together = serve(
        _fake(widths), {slot: _requests(_table(slot + 0.5), n) for slot, n in wanted.items()}, SLOTS, lambda *_: None
    )
    assert set(widths) == {SLOTS}
    reported = []
    for slot, lengths in wanted.items():
        with double_precision():
            alone = serve(
                _fake(widths), {0: _requests(_table(slot + 0.5), lengths)}, 1, lambda *made: reported.append(made)
            )
        np.testing.assert_array_equal(together[slot], alone[0])
    assert reported[0] == (CHUNK, 2 * CHUNK)
    with_others = serve(_fake([]), {3: _requests(_table(3.5), wanted[3])}, SLOTS, lambda *_: None)
    np.testing.assert_array_equal(with_others[3], together[3])


def test_a_table_that_wants_nothing_returns_at_once():
    def content():
        return "done"
        yield

    assert serve(_fake([]), {2: content()}, SLOTS, lambda *_: None) == {2: "done"}
