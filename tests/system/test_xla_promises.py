"""XLA keeps every promise of an engine on the real model, many requests at once among them."""

from __future__ import annotations

import anyio
import pytest

from agentlang.base import paths
from agentlang.executor.engines.conformance import CHECKS, Check
from agentlang.executor.engines.protocol import ModelSpec
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.stdlib.models import open_chat

NAME = "smollm2-135m-instruct"
PATH = paths.models_home() / NAME / "SmolLM2-135M-Instruct.Q4_1.gguf"

pytestmark = [
    pytest.mark.models,
    pytest.mark.slow,
    pytest.mark.skipif(not PATH.is_file(), reason=f"{NAME} is not here; `agentlang models pull {NAME}` fetches it"),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_promises_on_a_real_model(check: Check) -> None:
    anyio.run(check, XlaEngine(), ModelSpec(NAME, open_chat(PATH, NAME)))
