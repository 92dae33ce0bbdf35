"""Fits of a model to runs: one, many at once, stored in files, averaged."""
