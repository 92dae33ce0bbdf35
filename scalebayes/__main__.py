"""The entry point of the command line, also ``python -m scalebayes``: Ctrl-C is prepared for before anything else."""

from scalebayes.cli.interrupt import CODE, end_at_once, say


def main() -> None:
    """Run the command line."""
    end_at_once()
    try:
        from scalebayes.cli.app import main as run

        run()
    except KeyboardInterrupt:  # while the libraries were loaded
        say()
        raise SystemExit(CODE) from None


if __name__ == "__main__":
    main()
