"""Tables of training runs: read, checked, thinned and divided."""
