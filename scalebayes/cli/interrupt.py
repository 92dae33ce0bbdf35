"""Ctrl-C on the command line: one line and exit code 130, at once."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

CODE = 130
_GRACE = 1.0  # seconds in which Python may end by itself, files removed that are not whole


def end_at_once() -> Callable[[], bool]:
    """From now on Ctrl-C ends the process within a second, whatever runs; the function says whether it was pressed.

    Python reacts to it only when compiled code returns, which may take many seconds. A thread of its own does not wait.
    A compiled library that is being imported may print the interrupt, and raise an error of its own instead of it.
    """
    pressed = threading.Event()
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        while reading.recv(1) != bytes([signal.SIGINT]):
            pass
        pressed.set()
        time.sleep(_GRACE)
        say()
        writing.close()
        os._exit(CODE)

    threading.Thread(target=watch, daemon=True).start()
    shown = sys.unraisablehook

    def unraisable(found) -> None:
        # Where a callback of compiled code happens to run, the interrupt is lost; the thread above ends the process.
        if not isinstance(found.exc_value, KeyboardInterrupt):
            shown(found)

    sys.unraisablehook = unraisable
    uncaught = sys.excepthook

    def printed(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            uncaught(kind, value, traceback)

    sys.excepthook = printed
    return lambda: pressed.wait(_GRACE / 4)


def say() -> None:
    """The line that is said when a command was interrupted."""
    print("scalebayes: interrupted", file=sys.stderr, flush=True)
