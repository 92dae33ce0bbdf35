"""Questions to a fit; each returns one frozen answer with a table, draws and sentences."""
