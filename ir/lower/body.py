"""The body of a pipeline or test to operations. How each form of expression is lowered stands with its likes:

| file | forms |
| --- | --- |
| `values` | constants, templates, records, operators, conversions |
| `calls` | stages, tools, chats, pipelines, handles |
| `control` | `for`, `if`, `match`, `repeat`, `race` |
| `policies` | `with`, `otherwise`, `interruptible` |

`making` is what they share.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from ...lang import program as p
from . import calls, control, policies, values
from .making import Form, Lowering, Scope
from .names import Ids

FORMS: dict[type[p.Typed], Form] = {**values.FORMS, **calls.FORMS, **control.FORMS, **policies.FORMS}


def lower_body(
    program: p.Program,
    path: str,
    block: Any,
    body: p.Block,
    names: Mapping[str, Any],
    givens: tuple[p.Given, ...] = (),
    answered: frozenset[str] = frozenset(),
) -> None:
    """Fill the outermost block of a pipeline or test, whose stage ids begin with `path`. `givens` are the test's own,
    `answered` what any test gives an answer for. `BeyondLimits` for what no operation can hold."""
    ids = Ids(path)
    lowering = Lowering(program, path, FORMS, block, answered)
    scope = Scope(block, ChainMap(dict(names)), ids, ids)
    for given in givens:
        lowering.given(given, scope)
    lowering.block(body, scope, "agent.return", path)
