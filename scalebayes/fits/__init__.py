"""Fits: how one is made, many at once, stored and averaged."""
