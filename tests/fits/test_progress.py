"""What is said while a fit is made, and interrupts that a callback has swallowed."""

import signal
import threading
import time

import pytest

from scalebayes.fits import progress
from scalebayes.fits.progress import reporting


def test_a_quick_fit_says_nothing(capsys):
    with reporting(None, "power") as report:
        report("drawing", 1, 10)
    assert capsys.readouterr() == ("", "")


def test_a_long_one_says_so_once_and_then_each_stage(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 0.05)
    with reporting(None, "power") as report:
        report("compiling", 0, 0)
        while "more than" not in (said := capsys.readouterr().err):
            time.sleep(0.01)
        report("compiling", 0, 0)
        report("warming up", 0, 150)
        report("warming up", 50, 150)
        report("drawing", 0, 500)
    assert said == "scalebayes: fitting power takes more than 0.05 seconds; compiling\n"
    assert capsys.readouterr().err.splitlines() == [
        "scalebayes: fitting power: warming up (about 150 trajectories)",
        "scalebayes: fitting power: drawing (about 500 trajectories)",
    ]


def test_nothing_is_said_where_that_was_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    with reporting(False, "power") as report:
        report("drawing", 1, 10)
        time.sleep(0.05)
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_the_stage(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with reporting(True, "power") as report:
        report("compiling", 0, 0)
        report("drawing", 5, 10)
        time.sleep(0.3)  # the bar is drawn by a thread
    assert "fitting power" in capsys.readouterr().err


def test_an_interrupt_that_a_callback_swallows_ends_the_fit_at_the_next_report():
    def swallowed():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return True
        return False

    before = signal.getsignal(signal.SIGINT)
    with reporting(False, "power") as report:
        report("compiling", 0, 0)
        assert swallowed()
        with pytest.raises(KeyboardInterrupt):
            report("drawing", 0, 10)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_of_the_callers_and_other_threads_are_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with reporting(False, "power") as report:
            signal.raise_signal(signal.SIGINT)
            report("drawing", 0, 10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
    failed = []

    def run():
        try:
            with reporting(False, "power") as report:
                report("drawing", 0, 10)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not failed
