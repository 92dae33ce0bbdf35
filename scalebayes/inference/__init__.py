"""From a `pymc.Model` to draws: density as a JAX function, geometry, Hamiltonian Monte Carlo. Nothing here knows a law."""
