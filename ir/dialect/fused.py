"""The operation that does the work of several which only compute: what `fuse_stages` makes of a chain of cheap stages.

Those that it does the work of stand in its body as they were, with their ids, names, labels and places: they say what
is computed, who is to blame and which labels a value has. It is one stage to who runs, places and counts it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...lang.types import EnumType, ListType, MapType, OptionType, Primitive, RecordType, TensorType
from ..graph import ValueType
from .spec import View, operation

_MADE = ("constant", "template", "build", "field", "list", "binary", "unary", "length")
_DATA = ("table", "index", "case", "convert", "parse", "declassify")
_STAGES = ("stage", "embed", "score", "lookup", "compute")
FUSIBLE = frozenset(f"agent.{name}" for name in (*_MADE, *_DATA, *_STAGES))
"""What may stand in its body, beside the `agent.yield` at its end."""


def is_value(given: ValueType) -> bool:
    """Whether a value of that type is data that is there as a whole: no stream, and nothing that somebody holds."""
    return isinstance(given, Primitive | ListType | MapType | OptionType | RecordType | EnumType | TensorType)


def _body(op: View) -> Iterator[str]:
    body = op.region(0)
    if body is None:
        yield "has no body"
        return
    if body.arguments:
        yield "has a body with arguments"
    if body.results != (op.result,):
        yield f"gives {op.result}, but its body yields {', '.join(map(str, body.results)) or 'nothing'}"
    for inner in body.operations[:-1]:
        if inner.name not in FUSIBLE:
            yield f"holds '{inner.name}', which does not only compute"
        elif len(inner.results) != 1 or not all(map(is_value, View(inner, {}).results)):
            yield f"holds '{inner.name}', which gives no plain value"
        elif not all(map(is_value, View(inner, {}).operands)):
            yield f"holds '{inner.name}', which does not take plain values alone"


@operation("fused", regions=("body",), verify_regions=_body)
def fused(op: View) -> Iterator[str]:
    """What its body computes, as one stage: begun when all is there that is used in it, and through at once. Nothing in
    it waits, and all of it leads to what it gives. What fails in it fails as the operation in it.

    %2 = "agent.fused"() ({
      %1 = "agent.template"(%0) {id = "p.prompt", parts = ["About ", 0]} : (!agent.text) -> !agent.text
      %3 = "agent.stage"(%1) {entry = "text:lower", id = "p.lower", parameters = ["text"]} : (…) -> !agent.text
      "agent.yield"(%3) {id = "p.lower.fused.yield"} : (!agent.text) -> ()
    }) {id = "p.lower.fused"} : () -> !agent.text
    """
    if not is_value(op.result):
        yield f"gives {op.result}, which is no plain value"
