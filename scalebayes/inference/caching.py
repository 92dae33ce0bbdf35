"""What was compiled is kept in the user's cache folder, so that the next process need not compile it again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Where compiled programs are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "scalebayes"


@contextmanager
def compilation_cache() -> Iterator[None]:
    """Let JAX keep what it compiles in the block, without changing the caller's configuration beyond it.

    A cache folder that the caller, or an enclosing block, configured is used instead;
    ``JAX_ENABLE_COMPILATION_CACHE=false`` does without one.
    """
    import jax
    from jax.experimental.compilation_cache.compilation_cache import reset_cache

    if jax.config.jax_compilation_cache_dir is not None:
        yield
        return
    before = jax.config.jax_persistent_cache_min_compile_time_secs

    def turn(folder: str | None, least: float) -> None:
        # JAX decides once whether it has a cache, so it must be told that this has changed.
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
        reset_cache()

    turn(str(cache_folder() / "jax"), 0.2)
    try:
        yield
    finally:
        turn(None, before)
