"""Questions about a fit. Each returns one frozen answer with a table, draws and sentences."""
