"""The entry point of the command line, also ``python -m scalebayes``: Ctrl-C is prepared for before anything else."""

import os
import sys
from collections.abc import Callable


def main() -> None:
    """Run the command line."""
    pressed: Callable[[], bool] = bool  # not yet known
    try:
        from scalebayes.cli.interrupt import CODE, end_at_once

        pressed = end_at_once()
        from scalebayes.cli.app import main as run

        run()
    except (KeyboardInterrupt, ImportError) as error:  # while the libraries were loaded
        if isinstance(error, ImportError) and not pressed():
            raise
        print("scalebayes: interrupted", file=sys.stderr, flush=True)
        _end(130)
    except SystemExit as end:
        if end.code == CODE:
            _end(CODE)
        raise


def _end(code: int) -> None:
    """End without Python's own end, in which an interrupt that was dealt with may still kill the process."""
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
