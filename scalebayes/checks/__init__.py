"""How far answers can be trusted: back-tests against runs that were held back."""
