"""The command line: a thin shell around the same functions, printing the same sentences."""
