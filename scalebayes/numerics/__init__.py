"""Numerical tools that every room needs: precision, padding, roots, scores."""
