"""The page of the dialect, `docs/dialect.md`, made from the descriptions and docstrings of its operations.

`make pages`, or `pytest tests/tidy/test_documents.py --update`, writes it again. An operation, type or attribute of
every operation that this file does not know where to put fails the test.
"""

from __future__ import annotations

from inspect import cleandoc

from agentlang.ir.dialect import register
from agentlang.ir.dialect.spec import MOST_OPERANDS, OPERATIONS, Is, OpSpec
from agentlang.ir.dialect.types import PARAMETRIC, PRIMITIVE_NAMES

HEAD = """\
# The `agent` dialect

What a program is while it is compiled: an MLIR module in a dialect of its own. `agentlang compile FILE --emit mlir`
shows it, `--after PASS` behind a pass, `--pretty` in a form for reading; `agentlang opt` takes the other form back.
Each operation has a verifier, and laws hold for the module as a whole (`ir/laws.py`), checked between passes.

It has three levels. Of a **program** as it is written, each call is one operation. On the **granular** level a call
is what it is made of, so that its parts can be planned, placed and overlapped apart. In a **placed** module each
leaf says on which tier it runs, and what crosses is sent. Passes take a module from one level to the next; no level
is another language, so a module may have operations of all.

A value is made once and used wherever it is in sight, in bodies too. An operation runs when its operands are there;
a stream is there as soon as it is begun. How they run is told in [Execution](execution.md), and why the dialect is
as it is in [a decision](decisions/0004-the-agent-dialect.md).

Examples leave out `id`s and what is written as `…`. A leaf is an operation that a kind of the library runs: `entry`
names the kind, and `parameters` the operands, which it is called with.
"""

_LEVELS = (
    ("The program", "What programs are written with.", ()),
    ("Declarations", "They stand in the module, beside its pipelines.", ("declarations", "fleets")),
    ("Values", "What only depends on operands.", ("values", "data")),
    ("Calls", "Of stages, tools, models and pipelines.", ("stages", "agents")),
    ("Control", "Operations with bodies, and what ends these.", ("control", "branches")),
    ("Policies", "What is promised of a call, and what happens where it fails.", ("policies",)),
    ("The granular level", "What calls are made of.", ()),
    ("A chat", "`split_llm` makes these of `agent.chat`; `hoist_prefix` shares how they begin.", ("stages+",)),
    ("Models and tools", "`split_tool` makes these of `agent.stage`, as the library answers.", ("operators",)),
    ("Stages in one", "`fuse_stages` makes these.", ("fused",)),
    ("The placed level", "What runs where.", ()),
    ("Islands and channels", "`insert_transfers` and `partition` make these.", ("placed",)),
    ("A step of a model on several devices", "`split_parallel` makes these.", ("parallel",)),
)
_OF_A_CHAT = ("tokenize", "prefill", "kv_transfer", "sample", "decode", "detokenize")

_COMMON = {
    "id": "the readable name of the operation, in plans, traces and problems; unique, required in pipelines",
    "binding": "the program's name for its result",
    "also": "names of operations whose work it does too, so that an `assume` block may say either",
    "labels": "the labels of its result",
    "carried": "labels of operands, by their place, and of the parts of its `result`, that no operation says",
    "demand": "what one execution needs, as formulas of sizes",
    "times": "how often a run executes it, as a formula",
    "tier": "where a placed leaf runs",
    "kept": "places of operands: streams that must not hold their producer back",
    "acts": "it runs though nobody uses what it gives, for what was in it",
    "copies": "of which operation of another tier it is a copy",
    "fused": "what it was fused into",
}

_TYPES = {
    "list_of": ("[T]", "a list"),
    "map_of": ("{Text: T}", "a map from texts"),
    "option_of": ("T?", "a value or `none`"),
    "stream_of": ("stream T", "items that come one by one; the maker waits where nobody takes them"),
    "record_of": ("Source", "a record, by the name of its declaration"),
    "enum_of": ("Intent", "an enum, by the name of its declaration"),
    "handle_of": ("llm.Model", "an opened model, resource, memory or server"),
    "tensor": ("Tensor[f32, 8]", "numbers of one kind in a shape"),
    "turn_of": ("", "how a turn of a `repeat` ends: the state, and whether to stop"),
    "tokens": ("", "token ids, in the vocabulary of the model of that name"),
    "kv": ("", "a KV cache of the model of that name, consumed where it is decoded"),
    "in_transit": ("", "a value that is sent to another tier and not received yet"),
    "failure": ("", "why a body failed, where another tier answers for it"),
    "sampler": ("", "how a decode of the model of that name chooses the next token"),
    "kv_shard": ("", "a part of a KV cache, by key-value heads: which, of how many"),
    "hidden": ("", "the hidden states of a step's tokens"),
    "partial": ("", "what one device adds to hidden states, before it is summed"),
    "routing": ("", "which experts each token goes to, and with what weight"),
    "logits": ("", "a number for each token of the vocabulary"),
}

LABELS = """\
Labels (`@pii`, `@untrusted`) are no types but attributes: of what an operation gives (`labels`), and of what it is
handed by nobody who could say it (`carried`), such as a parameter. [Why
so](decisions/0015-labels-are-attributes.md)."""


def text() -> str:
    """The whole page."""
    lines = [HEAD, *_types(), *_attributes()]
    for title, said, modules in _LEVELS:
        lines += [f"{'###' if modules else '##'} {title}", "", said, ""]
        for spec in OPERATIONS.values():
            if _place(spec) in modules:
                lines += _operation(spec)
    placed = {module for _, _, modules in _LEVELS for module in modules}
    assert {_place(spec) for spec in OPERATIONS.values()} <= placed, "a file of operations that stands in no part"
    return "\n".join(lines).rstrip("\n") + "\n"


def _place(spec: OpSpec) -> str:
    module = spec.verify.__module__.rpartition(".")[2]
    return f"{module}+" if module == "stages" and spec.name in _OF_A_CHAT else module


def _types() -> list[str]:
    missing = set(PARAMETRIC) - set(_TYPES)
    assert not missing, f"types without a word: {missing}"
    lines = ["## Types", "", "| type | in programs | |", "| --- | --- | --- |"]
    for name, short in PRIMITIVE_NAMES.items():
        lines.append(f"| `!agent.{short}` | `{name}` | |")
    for name, parameters in PARAMETRIC.items():
        written, said = _TYPES[name]
        inside = ", ".join({"type": "T", "text": '"name"', "array": "[…]"}[kind] for _, kind in parameters)
        own = f"`{written}`" if written else ""
        lines.append(f"| `!agent.{name}{f'<{inside}>' if inside else ''}` | {own} | {said} |")
    return [*lines, "", LABELS, ""]


def _attributes() -> list[str]:
    common = set.intersection(*(set(spec.optional) for spec in OPERATIONS.values()))
    assert common <= set(_COMMON), f"attributes without a word: {common - set(_COMMON)}"
    lines = ["## Attributes of every operation", ""]
    return [*lines, *(f"- `{name}`: {said}" for name, said in _COMMON.items() if name in common), ""]


def _operation(spec: OpSpec) -> list[str]:
    prose, example = _parts(spec)
    common = set(_COMMON)
    own = {name: kind for name, kind in spec.optional.items() if name not in common}
    lines = [f"#### `agent.{spec.name}`", "", *prose, "", "```mlir", *example, "```", ""]
    facts = [
        ("operands", _count(spec.operands)),
        ("results", _count(spec.results)),
        ("attributes", _named(spec.attributes)),
        ("may have", _named(own)),
        ("bodies", ", ".join(f"`{name}`" for name in spec.regions)),
        ("stands in", ", ".join(f"`{name}`" for name in spec.inside)),
    ]
    lines += [f"- {name}: {said}" for name, said in facts if said]
    if spec.terminator:
        lines.append("- ends a body")
    if spec.pure:
        lines.append("- only computes")
    return [*lines, ""]


def _parts(spec: OpSpec) -> tuple[list[str], list[str]]:
    """The words of a docstring, and the example that it ends with."""
    lines = cleandoc(spec.doc).splitlines()
    begins = next(at for at, line in enumerate(lines) if line.startswith(("%", '"agent.')))
    return lines[: begins - 1], lines[begins:]


def _count(given: tuple[int, int]) -> str:
    least, most = given
    if most == 0:
        return ""
    if most == MOST_OPERANDS:
        return f"{least} or more" if least else "any number"
    return str(least) if least == most else f"{least} to {most}"


def _named(given: dict[str, Is] | object) -> str:
    assert isinstance(given, dict)
    return ", ".join(f"`{name}` ({kind.value})" for name, kind in given.items())


assert register.MODULES  # importing it registers the operations
