"""The command line: it calls the package's public functions and prints their answers."""
