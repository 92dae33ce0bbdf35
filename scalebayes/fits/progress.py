"""What is said while a fit is made, and how Ctrl-C ends it.

On a terminal a bar shows the stage. Elsewhere there is one line on standard error when a fit takes more than five
seconds, and one for each later stage.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, int, int], None]

_PATIENCE = 5.0  # seconds after which something is said where there is no terminal


@contextmanager
def reporting(wanted: bool | None, what: str) -> Iterator[Report]:
    """A callback of the stage, the trajectories made, and their number, 0 if it is not known.

    Parameters
    ----------
    wanted : bool or None
        Whether to show a bar, or nothing at all; if None, a bar on a terminal and lines elsewhere.
    what : str
        What is fitted.
    """
    shown = _silent() if wanted is False else _bar(what) if wanted or sys.stderr.isatty() else _lines(what)
    with _interruptible() as check, shown as show:

        def report(stage: str, made: int, total: int) -> None:
            check()
            show(stage, made, total)

        yield report


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """A function that raises KeyboardInterrupt if there was one.

    Python raises it in whatever code runs next. If that is a callback of JAX, the exception is printed and lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # the caller's own
        yield lambda: None
        return
    seen = False

    def note(number, frame) -> None:
        nonlocal seen
        seen = True
        raise KeyboardInterrupt

    def check() -> None:
        if seen:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _silent() -> Iterator[Report]:
    yield lambda stage, made, total: None


@contextmanager
def _bar(what: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(f"fitting {what}", total=None)

        def report(stage: str, made: int, total: int) -> None:
            bar.update(task, completed=made, total=total or None, description=f"fitting {what}: {stage}")

        yield report


@contextmanager
def _lines(what: str) -> Iterator[Report]:
    stage, speaking, lock = "preparing", False, threading.Lock()

    def say(line: str) -> None:
        print(f"scalebayes: {line}", file=sys.stderr, flush=True)

    def begin() -> None:
        nonlocal speaking
        with lock:
            speaking = True
            say(f"fitting {what} takes more than {_PATIENCE:g} seconds; {stage}")

    timer = threading.Timer(_PATIENCE, begin)
    timer.daemon = True
    timer.start()

    def report(now: str, made: int, total: int) -> None:
        nonlocal stage
        with lock:
            if now != stage and speaking:
                say(f"fitting {what}: {now}{f' (about {total} trajectories)' if total else ''}")
            stage = now

    try:
        yield report
    finally:
        timer.cancel()
