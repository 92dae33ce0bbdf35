"""How far answers can be trusted: back-tests on held-out runs, baselines, and sensitivity to priors."""
