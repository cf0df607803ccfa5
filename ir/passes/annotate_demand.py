"""Every operation says how often a run executes it, every leaf what one execution needs.

    decode(self, kv, max_tokens)

    =>  decode(self, kv, max_tokens) {
          times  = "1",
          demand = {compute = "…*hello.output + …*name.tokens*hello.output + …", traffic = …, footprint = …} }
        pipeline hello { sizes = [{name = "name.tokens", default = "64", basis = "assumed"},
                                  {name = "hello.output", default = "32", bound = "32", basis = "assumed"}] }

Formulas name sizes by the program's own names, so that a goal's `assume` block gives them; what it does not give has a
default with its basis. The arithmetic is in `ir.demand`; model shapes and the needs of other stages come from the
library.
"""

from __future__ import annotations

from typing import Any

from ...base.problems import Problems
from .. import _mlir
from ..demand.data import demand_data, size_data
from ..demand.stages import Annotated, annotate, opening
from ..graph import Graph
from ..library import Library
from ..lower.names import test_path
from ..read import read_graph


def run(module: Any, library: Library) -> Problems:
    graph = read_graph(module)
    found = {("agent.pipeline", p.name): annotate(graph, p, p.name, library) for p in graph.pipelines}
    found |= {("agent.test", p.name): annotate(graph, p, test_path(p.name), library) for p in graph.tests}
    for operation in _mlir.operations(_mlir.body(module)):
        if operation.name == "agent.handle":
            _handle(operation, graph, library)
        elif operation.name in ("agent.pipeline", "agent.test"):
            _body(operation, found[operation.name, operation.attributes["name"].value])
    return ()


def _handle(operation: Any, graph: Graph, library: Library) -> None:
    need = opening(graph.handle(operation.attributes["name"].value), graph, library)
    operation.attributes["demand"] = _mlir.attribute(demand_data(need))


def _body(pipeline: Any, found: Annotated) -> None:
    if found.sizes:
        pipeline.attributes["sizes"] = _mlir.attribute([size_data(size) for size in found.sizes])
    for operation in _mlir.walk(pipeline):
        if operation.name == "agent.arm":
            continue
        stage_id = operation.attributes["id"].value
        operation.attributes["times"] = _mlir.attribute(str(found.times[stage_id]))
        if stage_id in found.demands:
            operation.attributes["demand"] = _mlir.attribute(demand_data(found.demands[stage_id]))
