"""The ONNX engine: what is published as an ONNX file and reads texts, run by ONNX Runtime. It runs no chat models."""

from __future__ import annotations

from typing import NoReturn

import anyio.to_thread

from ....base.problems import OutsideError
from ..families import Operation, TextModelSpec
from ..problems import model_does_not_load
from ..protocol import Capabilities, ModelSpec
from .recognising import OnnxRecogniser, RecognisingSource
from .scoring import OnnxScorer, ScoringSource


class OnnxEngine:
    """An `Engine` that names SCORE and RECOGNISE."""

    @property
    def name(self) -> str:
        return "onnx"

    @property
    def operations(self) -> frozenset[Operation]:
        return frozenset({Operation.SCORE, Operation.RECOGNISE})

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(sequences_per_step=0)

    async def load(self, spec: ModelSpec) -> NoReturn:
        raise OutsideError(model_does_not_load(spec.name, "the engine 'onnx' runs no chat models"))

    async def load_scoring(self, spec: TextModelSpec) -> OnnxScorer:
        if not isinstance(spec.source, ScoringSource):
            raise OutsideError(model_does_not_load(spec.name, "the engine 'onnx' scores by an ONNX file alone"))
        model = OnnxScorer(spec.name, spec.source)
        await anyio.to_thread.run_sync(model.open)
        return model

    async def load_recognising(self, spec: TextModelSpec) -> OnnxRecogniser:
        if not isinstance(spec.source, RecognisingSource):
            raise OutsideError(model_does_not_load(spec.name, "the engine 'onnx' recognises by an ONNX file alone"))
        model = OnnxRecogniser(spec.name, spec.source)
        await anyio.to_thread.run_sync(model.open)
        return model
