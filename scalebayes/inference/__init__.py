"""Inference: from a `pymc.Model` to draws, by its density in JAX, a whitening map and Hamiltonian Monte Carlo.

Nothing here knows a law.
"""
