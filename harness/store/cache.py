"""Where lies what can be made or fetched again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder for what can be computed again: HARNESS_CACHE, else the user's own."""
    named = os.environ.get("HARNESS_CACHE", "")
    home = os.environ.get("XDG_CACHE_HOME", "") or str(Path.home() / ".cache")
    return Path(named) if named else Path(home) / "distil-harness"
