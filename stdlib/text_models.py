"""Opening models that read texts (encoders, rerankers, recognisers) on the engine that runs them.

A program or its settings may name an engine. Else the one that runs all models is asked first whether it does this too,
and if it does not, the one of ours that does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio.to_thread

from ..base.problems import OutsideError
from ..executor.engines.families import Operation, TextModelSpec, operations
from . import problems, store
from .extras import need_models

if TYPE_CHECKING:
    from ..executor.engines.families import (
        EmbeddingEngine,
        EmbeddingModel,
        RecognisingEngine,
        RecognisingModel,
        ScoringEngine,
        ScoringModel,
    )
    from ..executor.engines.protocol import Engine
    from .kinds import Environment

_OURS = {Operation.EMBED: "xla", Operation.SCORE: "onnx", Operation.RECOGNISE: "onnx"}
_ROLES = {Operation.EMBED: "embed", Operation.SCORE: "rerank", Operation.RECOGNISE: "recognise"}
_WHAT = {Operation.EMBED: "an encoder", Operation.SCORE: "a reranker", Operation.RECOGNISE: "a recogniser"}


async def load_embedding(environment: Environment, name: str, engine: str) -> EmbeddingModel:
    """The encoder of that name. Raises `OutsideError`: engine-unknown, engine-unsuitable, wrong-role, what the store
    and the engine raise."""
    chosen, spec = await _prepared(environment, Operation.EMBED, name, engine)
    return await cast("EmbeddingEngine", chosen).load_embedding(spec)


async def load_scoring(environment: Environment, name: str, engine: str) -> ScoringModel:
    """The reranker of that name. Raises as `load_embedding`."""
    chosen, spec = await _prepared(environment, Operation.SCORE, name, engine)
    return await cast("ScoringEngine", chosen).load_scoring(spec)


async def load_recognising(environment: Environment, name: str, engine: str) -> RecognisingModel:
    """The recogniser of that name. Raises as `load_embedding`."""
    chosen, spec = await _prepared(environment, Operation.RECOGNISE, name, engine)
    return await cast("RecognisingEngine", chosen).load_recognising(spec)


async def _prepared(
    environment: Environment, operation: Operation, name: str, engine: str
) -> tuple[Engine, TextModelSpec]:
    from .models.opening import open_text_model

    entry = store.entry(name)
    if entry.role != _ROLES[operation]:
        raise OutsideError(problems.wrong_role(name, entry.role, _ROLES[operation]))
    if not engine:
        # Before anything is fetched, for ours need them; whose engine it is that a program names, it knows best.
        need_models(_WHAT[operation])
    # What is no transformer is a table of vectors.
    chosen = _engine(environment, operation, engine or ("" if entry.shape else "table"))
    files = await anyio.to_thread.run_sync(store.obtain, entry, environment.progress)
    return chosen, TextModelSpec(name, open_text_model(entry, files))


def _engine(environment: Environment, operation: Operation, name: str) -> Engine:
    found = environment.engine(name)
    if operation in operations(found):
        return found
    if name:
        raise OutsideError(problems.engine_unsuitable(name, _WHAT[operation], _OURS[operation]))
    return environment.engine(_OURS[operation])
