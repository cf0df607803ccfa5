"""The event loop of commands whose items go from process to process: uvloop where `pip install uvloop` has put it.
A hop takes 25 us on it and 34 on asyncio's own. Commands of one process have no hops, and do not load it."""

from __future__ import annotations

import importlib.util


def fast_loop() -> dict[str, bool]:
    """What `anyio.run` is given as `backend_options`."""
    return {"use_uvloop": importlib.util.find_spec("uvloop") is not None}
