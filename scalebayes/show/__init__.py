"""Pictures of fits and answers; they compute only what to draw where."""
