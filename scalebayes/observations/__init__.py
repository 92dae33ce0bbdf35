"""How a run's response scatters about the law's mean."""
