"""The command line: its entry point and the list of its commands.

Bad input ends with exit code 2 and one line on standard error. Each warning is one line on standard error.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from typer.exceptions import TyperException

from scalebayes.cli import ahead, checking, deciding, fitting, gating, interrupt, planning, recording, reducing, sealing

_LONGEST = 2000  # characters of an error

_CODES = (
    "Exit codes: 0 done (gate: promote); 3 and 4 for gate's hold and drop; 2 bad input, or a file that cannot be "
    "read or written, with one line on standard error; 130 interrupted. Answers are on standard output, warnings and "
    "progress on standard error."
)
_FIT = "--law chinchilla --input N=n_params --input D=n_tokens --response loss"
# A real line for each command, shown below its options.
EXAMPLES: dict[Callable[..., Any], str] = {
    fitting.fit: f"scalebayes fit runs.csv {_FIT} --group architecture -o fit.nc",
    fitting.summary: "scalebayes summary fit.nc",
    checking.misfit: "scalebayes misfit fit.nc -o misfit.png",
    checking.backtest: f"scalebayes backtest runs.csv {_FIT} --holdout-top 0.1,0.3",
    checking.sensitivity: "scalebayes sensitivity fit.nc --at N=70e9,D=1.4e12 --of alpha --of E",
    ahead.forecast: "scalebayes forecast fit.nc --at N=70e9,D=1.4e12",
    ahead.reach: "scalebayes reach fit.nc --target 2.0 --axis C --path ratio=20",
    deciding.crossover: "scalebayes crossover fit.nc --axis C --to 1e24 -o crossover.png",
    deciding.compare: "scalebayes compare fit.nc --margin alpha=0.01 --target 2.0",
    deciding.allocate: "scalebayes allocate fit.nc --compute 1e23 --compute 1e24",
    deciding.tune: "scalebayes tune fit.nc --at N=1e9,D=2e10",
    deciding.next_run: "scalebayes next-run fit.nc --candidates plan.csv --goal decision --axis C --to 1e24",
    planning.design: "scalebayes design fit.nc --candidates plan.csv --budget 1e22 --at N=70e9,D=1.4e12 -o design.png",
    planning.enough_runs: "scalebayes enough-runs fit.nc --candidates plan.csv --to 1e24",
    planning.in_flight: "scalebayes in-flight fit.nc curve.csv --rates rates.csv -o run.png",
    gating.gate: "scalebayes gate fit.nc --baseline adamw --to 1e22 -o gate.png",
    gating.floor_report: "scalebayes floor-report fit.nc --at N=70e9,D=1.4e12 --pin 1.69 -o floor.png",
    gating.isoflop: "scalebayes isoflop fit.nc -o isoflop.png",
    sealing.seal: "scalebayes seal fit.nc --at N=70e9,D=1.4e12 --ledger ledger.sqlite -o sealed.json",
    sealing.score: "scalebayes score sealed.json results.csv --ledger ledger.sqlite -o score.png",
    sealing.ledger: "scalebayes ledger ledger.sqlite",
    reducing.frontier: "scalebayes frontier runs.csv --response loss -o frontier.csv --picture frontier.png",
    reducing.best_of: "scalebayes best-of runs.csv --over lr --response loss -o best.csv",
    ahead.plot: "scalebayes plot fit.nc --axis C --to 1e24 -o curves.png",
    recording.report: "scalebayes report fit.nc --to 1e24 -o report.html",
    recording.record: "scalebayes record fit.nc -o record.json",
    recording.redo: "scalebayes redo record.json -o again.nc",
    fitting.laws: "scalebayes laws",
    fitting.datasets: "scalebayes datasets overtraining -o runs.csv",
    checking.demo: "scalebayes demo",
}

app = typer.Typer(
    name="scalebayes",
    help="Bayesian inference for scaling laws: fit, forecast, and say how sure.",
    epilog=_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command, example in EXAMPLES.items():
    app.command(command.__name__.replace("_", "-"), epilog=f"Example: {example}")(command)


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
