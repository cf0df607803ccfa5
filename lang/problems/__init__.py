"""The words for what can be wrong with the meaning of a program; those for its spelling are in `syntax_problems.py`.

One function per slug, in one module per area; all are called as `problems.NAME(…)`. Facts come in, a `Problem` comes
out; each slug has a page in `docs/problems/`. A title stands alone in one line, a hint is the next step, and a fix is
there wherever a machine could apply it. The modules are loaded when the first problem is found: most files have
none, and every command would pay for them. What the analyses of a whole program find is worded in modules that only
they import.
"""

# ruff: noqa: F403 - a new slug is written in one place

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .calls import *
    from .control import *
    from .declarations import *
    from .fallbacks import *
    from .forms import *
    from .goals import *
    from .names import *
    from .types import *

_AREAS = ("calls", "control", "declarations", "fallbacks", "forms", "goals", "names", "types")
_ALONE = ("effects", "labels", "policies")


def __getattr__(name: str) -> Any:
    if name in (*_AREAS, *_ALONE) or name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for area in _AREAS:
        words = vars(import_module(f".{area}", __name__))
        globals().update({word: value for word, value in words.items() if not word.startswith("_")})
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]
