"""The entry point of the command line, also ``python -m scalebayes``: Ctrl-C is prepared for before anything else."""

from scalebayes.cli.interrupt import end_at_once


def main() -> None:
    """Run the command line."""
    end_at_once()
    from scalebayes.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
