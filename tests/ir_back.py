"""Whether a module comes back as it was: from its text, from its bytecode, and from its frozen graph."""

from __future__ import annotations

import hashlib

from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.emit import emit_module
from agentlang.ir.graph import Graph, walk
from agentlang.ir.read import read_graph
from agentlang.ir.verify import verify


def comes_back(module: Module) -> None:
    """Through text, bytecode and the frozen graph."""
    text, code, graph = module.text(), module.bytecode(), module.graph()
    for written, digest in ((text, None), (code, hashlib.sha256(code).hexdigest())):
        back, problems = irc.parse(written, digest, module.sources)
        assert back is not None, [problem.title for problem in problems]
        # Equal texts are equal in everything, places included.
        assert back.text() == text
        assert back.passes == module.passes
    again = back.graph()
    assert again == graph
    assert spans(again) == spans(graph)
    made = emit_module(graph)
    assert verify(made, module.passes) == ()
    assert read_graph(made, module.sources) == graph


def spans(graph: Graph) -> list[object]:
    return [(o.span, o.callers) for pipeline in graph.pipelines for o in walk(pipeline.body)]
