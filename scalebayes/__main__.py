"""``python -m scalebayes``."""

from scalebayes.cli.app import main

main()
