"""The command line: its entry point and the list of its commands.

Bad input ends with exit code 2 and one line on standard error. Each warning is one line on standard error.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from scalebayes.cli import ahead, checking, deciding, fitting, interrupt, recording

_LONGEST = 2000  # characters of an error

app = typer.Typer(
    name="scalebayes",
    help="Bayesian inference for scaling laws: fit, forecast, and say how sure.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    fitting.fit,
    fitting.summary,
    checking.misfit,
    checking.backtest,
    ahead.forecast,
    ahead.reach,
    deciding.crossover,
    deciding.compare,
    deciding.allocate,
    deciding.tune,
    deciding.next_run,
    ahead.plot,
    recording.report,
    recording.record,
    recording.redo,
    fitting.laws,
    checking.demo,
):
    app.command(command.__name__.replace("_", "-"))(command)


def main() -> None:
    """Run the command line; the entry point of the package."""
    warnings.showwarning = _one_line_warning
    try:
        code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = interrupt.CODE
    except SystemExit as end:
        code = end.code
    except TyperException as error:
        commands = [
            command.name or command.callback.__name__ for command in app.registered_commands if command.callback
        ]
        known = [word for word in sys.argv[1:2] if word in commands]
        said = error.format_message().rstrip(".")
        _refuse(ValueError(f"{said}; see '{' '.join(['scalebayes', *known, '--help'])}'."))
    except (ValueError, TypeError, OSError, RuntimeError, MemoryError) as error:
        _refuse(error)
    if code == interrupt.CODE:
        interrupt.say()
    raise SystemExit(code or 0)


def _refuse(error: Exception) -> NoReturn:
    if os.environ.get("SCALEBAYES_TRACEBACK"):
        raise error
    line = " ".join(str(error).split()) or type(error).__name__
    if len(line) > _LONGEST:
        line = f"{line[:_LONGEST]} ... ({len(line):,} characters)"
    print(f"scalebayes: {line}", file=sys.stderr)
    raise SystemExit(2)


def _one_line_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"scalebayes: warning: {' '.join(str(message).split())}", file=sys.stderr)
