"""MessagePack is read and written in few places: a new one is a new way into a process."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = {
    "executor/wire/framing.py",
    "executor/wire/pipes.py",
    "executor/wire/tensors.py",
    "executor/workers/messages.py",
    # Older than the wire: the pipe to an engine's own process, and the caches between two of them.
    "executor/engines/workers/frames.py",
    "executor/engines/split/inbound.py",
}


def test_messagepack_is_spoken_on_the_wire_alone() -> None:
    tops = ("base", "lang", "ir", "planner", "executor", "stdlib", "services", "cli", "agentlang")
    found = {
        str(path.relative_to(ROOT))
        for top in tops
        for path in (ROOT / top).rglob("*.py")
        if "msgpack" in (text := path.read_text("utf-8")) and "import msgspec" in text
    }
    assert found == PLACES
