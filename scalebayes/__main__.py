"""``python -m scalebayes``."""

from scalebayes.cli import main

main()
