"""From a `pymc.Model` to draws: density as a JAX function, geometry, NUTS. Nothing here knows a law."""
