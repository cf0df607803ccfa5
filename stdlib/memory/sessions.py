"""Where conversations are kept: a file for each session, in the user's private folder, read and written under a lock.

A file is read again for each use, so several runs and several processes can share a session: each adds its turn to what
the others have added.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from ...base import paths
from ...base.problems import OutsideError
from ...base.store import write_atomic
from .. import problems
from ..store.lock import locked
from .turns import Turn

_FORMAT = 1


class Sessions:
    """The sessions of one declared memory of one program."""

    def __init__(self, folder: Path, name: str) -> None:
        program = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        self._place = Path("sessions") / f"{program}-{name}"

    def turns(self, session: str) -> tuple[Turn, ...]:
        """All that is kept of a session, oldest first. Raises `OutsideError` for a file that is damaged."""
        file = self._file(session)
        try:
            data = cast("dict[str, Any]", json.loads(file.read_bytes()))
            return tuple(Turn(t["id"], t["at"], tuple(t["messages"])) for t in data["turns"])
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutsideError(problems.memory_unreadable(session, str(file), str(error))) from None

    def add(self, session: str, turn: Turn, keep: Callable[[Iterable[Turn]], tuple[Turn, ...]]) -> tuple[Turn, ...]:
        """Add a turn, in the place of one of the same id, and let go of what `keep` does not keep. Gives all that is
        kept now."""
        file = self._file(session)
        with locked(file.with_suffix(".lock"), _wait):
            kept = keep((*(t for t in self.turns(session) if t.id != turn.id), turn))
            turns = [{"id": t.id, "at": t.at, "messages": list(t.messages)} for t in kept]
            data = {"format": _FORMAT, "session": session, "turns": turns}
            try:
                write_atomic(file, json.dumps(data, ensure_ascii=False, indent=1).encode(), mode=0o600)
            except OSError as error:
                raise OutsideError(problems.memory_unreadable(session, str(file), str(error))) from None
        return kept

    def _file(self, session: str) -> Path:
        # A session's name comes from outside and may hold anything.
        return paths.private(str(self._place)) / f"{hashlib.sha256(session.encode()).hexdigest()[:32]}.json"


def _wait() -> None:
    """Whoever holds the lock holds it for the writing of one file."""
