"""Asynchronous tests run on virtual time, on both event loops: nothing here sleeps."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from agentlang.executor.clock import VirtualEventLoop


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.param == "trio":
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"loop_factory": VirtualEventLoop}
