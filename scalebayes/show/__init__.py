"""Pictures of fits and answers; nothing is computed here but where to draw."""
