"""agentlang: a declarative dataflow language for agent pipelines.

`import agentlang` loads nothing else; each name below is imported when it is first used (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"  # as in base/version.py: nothing else is loaded for it

if TYPE_CHECKING:
    from .api import Checked, Compiled, check, compile, plan, run

_LAZY = ("Checked", "Compiled", "check", "compile", "plan", "run")
__all__ = ["Checked", "Compiled", "__version__", "check", "compile", "plan", "run"]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module 'agentlang' has no attribute {name!r}")
