"""The llama.cpp engine keeps every promise of an engine on the real model, as its file has it (4 bits)."""

from __future__ import annotations

import anyio
import pytest

from agentlang.base import paths
from agentlang.executor.engines.llamacpp.engine import LlamaCppEngine
from agentlang.executor.engines.protocol import ModelSpec
from agentlang.stdlib.models import open_chat
from agentlang.testing import check_engine

NAME = "smollm2-135m-instruct"
PATH = paths.models_home() / NAME / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.skipif(not PATH.is_file(), reason=f"{NAME} is not here; `agentlang models pull {NAME}` fetches it")
def test_every_promise_on_the_real_model() -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed")
    anyio.run(check_engine, LlamaCppEngine, ModelSpec(NAME, open_chat(PATH, NAME)))
