"""The cache folder of compiled programs, so that the next process need not compile them again."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """The folder in which compiled programs are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "scalebayes"


@contextmanager
def compilation_cache() -> Iterator[None]:
    """Let JAX keep what it compiles in the block; after the block the caller's configuration is as before.

    A cache folder that the caller, or an enclosing block, has configured is used instead.
    ``JAX_ENABLE_COMPILATION_CACHE=false`` switches the cache off.
    """
    import jax
    from jax.experimental.compilation_cache.compilation_cache import reset_cache

    if jax.config.jax_compilation_cache_dir is not None:
        yield
        return
    before = jax.config.jax_persistent_cache_min_compile_time_secs

    def turn(folder: str | None, least: float) -> None:
        # JAX decides only once whether it has a cache, hence the reset.
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
        reset_cache()

    turn(str(cache_folder() / "jax"), 0.2)
    try:
        with warnings.catch_warnings():
            # A cache that cannot be read or written costs time only.
            warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
            yield
    finally:
        turn(None, before)
