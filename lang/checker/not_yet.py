"""What of the language the checker does not know yet, and what to write meanwhile.

Each construct here is refused where it stands: nothing that was not checked may run. Support for one means checking it
and taking its line out of this table.
"""

from __future__ import annotations

from ...base.problems import Problem
from ...base.source import Span
from .. import problems

# key: (subject of the sentence, whether it is plural, the next step)
_CONSTRUCTS: dict[str, tuple[str, bool, str]] = {
    "match": ("`match`", False, "decide with `if … { … } else { … }` meanwhile"),
    "repeat": ("`repeat`", False, "write the turns one after the other meanwhile"),
    "race": ("`race`", False, "call one of its branches meanwhile"),
    "otherwise": (
        "`otherwise`",
        False,
        "call without a fallback meanwhile; a failure then ends the run with its reason",
    ),
    "with": ("policies (`with …`)", True, "call without policies meanwhile"),
    "into": ("`into`", False, "ask for plain text meanwhile and use it as Text"),
    "as": ("`as`", False, "take the value as a parameter of the right type meanwhile"),
    "interruptible": ("`interruptible`", False, "write its block without it meanwhile"),
    "emit": ("`emit`", False, "`return` the stream meanwhile"),
    "index": ("indexing (`x[i]`)", False, "go over the list with `for` meanwhile"),
    "map": ("map literals", True, "use a record meanwhile"),
    "map type": ("map types", True, "use a record meanwhile"),
    "option type": ("optional types (`T?`)", True, "use a value that says nothing was found, such as an empty text"),
    "tensor type": ("`Tensor`", False, "let a stage of the library keep its tensors inside a handle meanwhile"),
    "Message": ("`Message`", False, "put the conversation into one text meanwhile"),
    "Role": ("`Role`", False, "put the conversation into one text meanwhile"),
    "Secret": ("`Secret`", False, "use models that need no key meanwhile"),
    "enum": ("`enum`", False, "use a Text or a Bool meanwhile"),
    "tool": ("`tool`", False, "leave the tool out meanwhile, or pass what it would give as a parameter"),
    "server": ("`server`", False, "leave the server and its tools out meanwhile"),
    "agent": ("`agent`", False, "write its calls out as a pipeline meanwhile"),
    "memory": ("`memory`", False, "pass what is to be remembered as a parameter meanwhile"),
    "stage": ("`stage` declarations of a program", True, "use the stages of the library meanwhile"),
    "handle type": (
        "opaque types (`type NAME` without fields)",
        True,
        "use a record meanwhile; only libraries have handles",
    ),
    "handle value": (
        "a model or resource as a value",
        False,
        "use its declared name where a stage takes it, or call its methods",
    ),
    "file import": ("importing other files", False, "move what you need from it into this file meanwhile"),
    "declassify": ("`declassify`", False, "use `text.redact` meanwhile"),
    "buffered": ("`buffered`", False, "use the stream itself, or `all(…)` meanwhile"),
    "secret": ("`secret`", False, "use models that need no key meanwhile"),
    "python": ("`python`", False, "use the stages of the library meanwhile"),
    "builtin": ("`builtin` in a program", False, "use the stages of the library"),
    "endpoint": ("`endpoint` tiers", True, "use tiers of the catalogue meanwhile"),
    "keep": ("`keep`", False, "choose a fleet whose every tier may see the label meanwhile"),
    "soft": ("`soft`", False, "leave the term out meanwhile; without it every limit is hard"),
    "case share": ("the share of a case", False, "leave the line out meanwhile"),
    "library declaration": ("this declaration in a library", False, "libraries declare types and stages"),
}

# Parts of the standard library that the language names and that have no interface yet.
MODULES = frozenset({"std/http", "std/mcp", "std/memory", "std/speech"})


def not_yet(construct: str, span: Span) -> Problem:
    """The refusal of `construct` (a key of the table above) at `span`."""
    subject, plural, hint = _CONSTRUCTS[construct]
    return problems.not_checked_yet(subject, span, hint, plural)


def module_not_yet(name: str, span: Span) -> Problem:
    return problems.not_checked_yet(f"module `{name}`", span, "leave out what needs it meanwhile")


def setting_not_yet(name: str, span: Span) -> Problem:
    return problems.not_checked_yet(f"the tier setting `{name}`", span, "leave it out meanwhile")
