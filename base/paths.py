"""Where things are kept on this machine. One root, `AGENTLANG_HOME`, else the user's cache folder.

Compiled executables and parser tables need pickle to load, so their folder is private: mode 0700 and owned by this
user, checked each time it is opened.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .problems import OutsideError, Problem


class UnsafeFolder(OutsideError):
    """A private folder that somebody else may write to: what lies in it would be executed."""

    def __init__(self, folder: Path) -> None:
        title = f"{folder} belongs to another user or can be written by one"
        hint = f"make it yours alone (chmod 700 {folder}), or set AGENTLANG_HOME to a folder of your own"
        super().__init__(Problem("unsafe-folder", title, hint=hint))


def home() -> Path:
    """The root of all that agentlang keeps. Not created here."""
    given = os.environ.get("AGENTLANG_HOME")
    if given:
        return Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    root = Path(cache) if cache else Path.home() / ".cache"
    return root / "agentlang"


def models_home() -> Path:
    return home() / "models"


def logs_home() -> Path:
    return home() / "logs"


def private(name: str) -> Path:
    """The private folder `name` under the root, created if missing.

    Raises `UnsafeFolder` if another user owns it or could write to it.
    """
    folder = home() / "private" / name
    for part in (folder.parent, folder):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = part.stat()
        if hasattr(os, "getuid") and (info.st_uid != os.getuid() or stat.S_IMODE(info.st_mode) & 0o022):
            raise UnsafeFolder(part)
        if stat.S_IMODE(info.st_mode) != 0o700:
            part.chmod(0o700)
    return folder
