"""What is true of every module beyond the rules of single operations: names are unique and what is used is declared.

A table of laws, checked after lowering and between passes. `after` says from which pass on a law holds. Each law
yields an operation and what is wrong with it; MLIR's own verifier has run before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..base.problems import Problems
from ..lang.types import NONE, EnumType, RecordType
from . import _mlir, problems
from .agent_laws import AGENTS
from .dialect.control import goes_into, sender
from .dialect.spec import View, fits
from .dialect.types import from_mlir
from .graph import ValueType
from .live import ACTING
from .parallel_laws import PARALLEL
from .placed_laws import PLACED

Broken = Iterator[tuple[Any, str]]

_BODIES = ("agent.pipeline", "agent.test")


class Held:
    """What a module holds, walked once for all laws: its declarations, and what is inside its pipelines and tests, in
    order and by the names of operations. (An arm is a part of its operation, so no stage.)"""

    __slots__ = ("declarations", "inside", "stages", "tier")

    def __init__(self, declarations: list[Any], tier: str | None = None) -> None:
        self.declarations = declarations
        self.tier = tier  # of an island
        self.inside: dict[str, list[Any]] = {}
        self.stages: list[Any] = []
        for body in self.declarations:
            if body.name in _BODIES:
                for operation in _mlir.walk(body):
                    name = operation.name
                    self.inside.setdefault(name, []).append(operation)
                    if name != "agent.arm":
                        self.stages.append(operation)


@dataclass(frozen=True, slots=True)
class Law:
    name: str
    check: Callable[[Held], Broken]
    after: str | None = None


def check(module: Any, done: tuple[str, ...] = ()) -> Problems:
    """The laws that hold after the passes in `done`, as problems at the places of the operations that break them."""
    found: list[Any] = []
    with _mlir.working():
        for held in _views(module):
            for law in LAWS:
                if law.after is None or law.after in done:
                    found += [problems.unsound(text, _place(operation)) for operation, text in law.check(held)]
    return tuple(dict.fromkeys(found))


def _views(module: Any) -> Iterator[Held]:
    """What the laws hold of: the module, or each of its islands with what stands beside them."""
    declared = _mlir.operations(_mlir.body(module))
    islands = [operation for operation in declared if operation.name == "agent.island"]
    if not islands:
        yield Held(declared, _text(module, "agent.tier") if "agent.tier" in module.attributes else None)
    beside = [operation for operation in declared if operation.name not in ("agent.island", "agent.goal")]
    for island in islands:
        inside = _mlir.operations(island.regions[0].blocks[0])
        yield Held([*beside, *inside], _text(island, "tier"))


def _place(operation: Any) -> Any:
    return next(_mlir.spans(operation.location), None)


def _declared(module: Held, kind: str) -> dict[str, Any]:
    return {_text(op, "name"): op for op in module.declarations if op.name == kind}


def _text(operation: Any, name: str) -> str:
    return operation.attributes[name].value


def _inside(module: Held, *names: str) -> Iterator[Any]:
    """The operations of these names in all bodies."""
    return (op for name in names for op in module.inside.get(name, ()))


def unique_ids(module: Held) -> Broken:
    """Every operation in a pipeline has a stage id, and no two the same. (An arm is a part of its operation.)"""
    seen: set[str] = set()
    for operation in module.stages:
        if "id" not in operation.attributes:
            yield operation, f"'{operation.name}' has no stage id"
            continue
        stage_id = _text(operation, "id")
        if stage_id in seen:
            yield operation, f"two operations have the stage id {stage_id!r}"
        seen.add(stage_id)


def ours_only(module: Held) -> Broken:
    """A pipeline holds operations of the `agent` dialect only."""
    for name, operations in module.inside.items():
        if not name.startswith("agent."):
            yield from ((operation, f"'{name}' has no place in a pipeline") for operation in operations)


def unique_names(module: Held) -> Broken:
    """No two declarations of one kind share a name."""
    seen: set[tuple[str, str]] = set()
    for operation in module.declarations:
        name = "pipeline" if operation.name == "agent.goal" else "name"
        if name in operation.attributes:
            key = (operation.name, _text(operation, name))
            if key in seen:
                yield operation, f"'{operation.name}' is declared twice: {key[1]!r}"
            seen.add(key)


def handles_declared(module: Held) -> Broken:
    """Every open names a declared handle and has its type, every handle argument a handle declared before."""
    handles = _declared(module, "agent.handle")
    for operation in _inside(module, "agent.open"):
        name = _text(operation, "name")
        if name not in handles:
            yield operation, f"{name!r} is no declared handle"
        elif str(from_mlir(operation.results[0].type)) != _text(handles[name], "type"):
            yield operation, f"{name!r} is a {_text(handles[name], 'type')}, not what it is opened as"
    known: set[str] = set()
    for name, operation in handles.items():
        for value in _mlir.attributes_of(operation)["arguments"].values():
            if isinstance(value, _mlir.SymbolName) and value not in known:
                yield operation, f"{value!r} is no handle that is declared before {name!r}"
        known.add(name)


def calls_resolve(module: Held) -> Broken:
    """Every call names a pipeline and gives it what it takes."""
    pipelines = _declared(module, "agent.pipeline")
    for operation in _inside(module, "agent.call"):
        given = _mlir.attributes_of(operation)
        if given["callee"] not in pipelines:
            yield operation, f"{given['callee']!r} is no pipeline"
            continue
        callee = _mlir.attributes_of(pipelines[given["callee"]])
        wanted = {entry["name"]: from_mlir(entry["type"]) for entry in callee["parameters"]}
        if set(given["parameters"]) != set(wanted):
            yield operation, f"a call of {given['callee']!r} gives {', '.join(given['parameters']) or 'nothing'}"
            continue
        for name, value in zip(given["parameters"], operation.operands, strict=True):
            if not fits(from_mlir(value.type), wanted[name]):
                yield operation, f"{name!r} of {given['callee']!r} is {wanted[name]}, not {from_mlir(value.type)}"
        for value in operation.results:
            if from_mlir(value.type) != from_mlir(callee["result"]):
                yield operation, f"{given['callee']!r} does not give {from_mlir(value.type)}"


def emits_fit(module: Held) -> Broken:
    """What is emitted is an item of the stream that it goes into, or a stream of them; a test emits nothing."""
    for operation in _inside(module, "agent.emit"):
        around, given = sender(operation), from_mlir(operation.operands[0].type)
        match around.name:
            case "agent.generator":
                wanted = from_mlir(around.results[0].type)
            case "agent.pipeline":
                wanted = from_mlir(_mlir.attributes_of(around)["result"])
            case _:
                wanted = NONE
        if not goes_into(given, wanted):
            yield operation, f"{given} is emitted where {wanted} is given"


def records_fit(module: Held) -> Broken:
    """Every build and field fits the declaration of its record; every record that a type names is declared."""
    records: dict[str, dict[str, ValueType]] = {
        name: {field["name"]: from_mlir(field["type"]) for field in _mlir.attributes_of(operation)["fields"]}
        for name, operation in _declared(module, "agent.record").items()
    }
    for operation in _inside(module, "agent.build"):
        given = _mlir.attributes_of(operation)
        fields = records.get(given["record"])
        if fields is None:
            yield operation, f"{given['record']!r} is no declared record"
        else:
            yield from _parts_fit(operation, given["record"], tuple(fields.items()))
    for operation in _inside(module, "agent.field"):
        base, name = from_mlir(operation.operands[0].type), _text(operation, "name")
        if not isinstance(base, RecordType):
            continue
        wanted = records.get(base.name, {}).get(name)
        if wanted is None:
            yield operation, f"{base} has no field {name!r}"
        elif wanted != from_mlir(operation.results[0].type):
            yield operation, f"{base}.{name} is {wanted}, not {from_mlir(operation.results[0].type)}"


def enums_fit(module: Held) -> Broken:
    """Every case and match fits the declaration of its enum, every template has holes of what has a text form."""
    enums: dict[str, dict[str, tuple[tuple[str, ValueType], ...]]] = {
        name: {
            case["name"]: tuple((field["name"], from_mlir(field["type"])) for field in case["payload"])
            for case in _mlir.attributes_of(operation)["cases"]
        }
        for name, operation in _declared(module, "agent.enum").items()
    }
    for operation in _inside(module, "agent.case"):
        given = _mlir.attributes_of(operation)
        payload = enums.get(given["enum"], {}).get(given["case"])
        if payload is None:
            yield operation, f"{given['enum']}.{given['case']} is no case of a declared enum"
        else:
            yield from _parts_fit(operation, f"{given['enum']}.{given['case']}", payload)
    for operation in _inside(module, "agent.match"):
        subject = from_mlir(operation.operands[0].type)
        if isinstance(subject, EnumType):
            yield from _match_fits(operation, subject.name, enums.get(subject.name, {}))
    for operation in _inside(module, "agent.template"):
        for value in operation.operands:
            given = from_mlir(value.type)
            if isinstance(given, EnumType) and any(enums.get(given.name, {"": ((),)}).values()):
                yield operation, f"a hole has the type {given}, whose payload has no text form"


def _parts_fit(operation: Any, whole: str, declared: tuple[tuple[str, ValueType], ...]) -> Broken:
    """What an operation puts together has the parts that are declared, in order; of one that has the first of them only
    nothing is made but what extends it."""
    before = _before(operation)
    names = _mlir.attributes_of(operation)["fields"]
    known = None if before is None else (*before, *names)
    first = declared[: len(known or ())]
    if before is None or known != tuple(name for name, _ in first) or not (first == declared or _extended(operation)):
        yield operation, f"{whole} has the fields {', '.join(name for name, _ in declared) or 'none'}, in that order"
        return
    added = list(operation.operands)[-len(names) :] if names else []
    for value, (name, wanted) in zip(added, first[len(before) :], strict=True):
        if not fits(from_mlir(value.type), wanted):
            yield operation, f"{whole}.{name} is {wanted}, not {from_mlir(value.type)}"


def _before(operation: Any) -> tuple[str, ...] | None:
    """The parts of what an operation extends; None if that is not put together from parts."""
    if not _mlir.attributes_of(operation).get("extends"):
        return ()
    base = _mlir.owner(operation.operands[0])
    before = None if base is None or base.name != operation.name else _before(base)
    return None if before is None or base is None else (*before, *_mlir.attributes_of(base)["fields"])


def _extended(operation: Any) -> bool:
    """Whether something extends what an operation puts together, and nothing else uses it."""
    uses = [use for value in operation.results for use in value.uses]
    return bool(uses) and all(
        use.owner.name == operation.name
        and use.operand_number == 0
        and _mlir.attributes_of(use.owner.operation).get("extends")
        for use in uses
    )


def _match_fits(match: Any, enum: str, cases: dict[str, tuple[tuple[str, ValueType], ...]]) -> Broken:
    arms = View(match, {}).arms
    for case, body in arms:
        if case == "_":
            continue
        if case not in cases:
            yield match, f"{enum} has no case {case!r}"
        elif body.arguments != tuple(given for _, given in cases[case]):
            yield match, f"the arm of {enum}.{case} does not take its payload"
    missing = set(cases) - {case for case, _ in arms}
    if missing and not any(case == "_" for case, _ in arms):
        yield match, f"no arm is for {enum}.{min(missing)}"


def goals_resolve(module: Held) -> Broken:
    """Every goal is of a declared pipeline."""
    pipelines = _declared(module, "agent.pipeline")
    for operation in module.declarations:
        if operation.name == "agent.goal" and _text(operation, "pipeline") not in pipelines:
            yield operation, f"{_text(operation, 'pipeline')!r} is no pipeline"


def no_calls(module: Held) -> Broken:
    """After inlining no call is left."""
    for operation in _inside(module, "agent.call"):
        yield operation, "a call of a pipeline is left after inlining"


def no_chats(module: Held) -> Broken:
    """After the split no chat is left, every cache is prefilled, moved and decoded, each once; those that are filled
    ahead are no chat's."""
    for operation in _inside(module, "agent.chat"):
        yield operation, "a chat call is left after the split"
    for operation in _inside(module, "agent.prefill", "agent.kv_transfer"):
        uses = list(operation.results[0].uses)
        if "ahead" in operation.attributes:
            if any(use.owner.name in ("agent.kv_transfer", "agent.decode") for use in uses):
                yield operation, "a KV cache that is filled ahead is decoded"
        elif len(uses) != 1:
            yield operation, f"a KV cache has {len(uses)} uses: decoding consumes it"


def parts_together(module: Held) -> Broken:
    """What a part of a call gives is for a later part of the same call, and for nobody else."""
    for operation in _inside(module, *sorted(ACTING)):
        if "partial" not in operation.attributes or "part_of" not in operation.attributes:
            continue
        whole = _text(operation, "part_of")
        for use in operation.results[0].uses:
            taker = use.owner.operation
            if taker.name != "agent.send" and ("part_of" not in taker.attributes or _text(taker, "part_of") != whole):
                yield operation, f"what a part of {whole!r} gives goes to what is no part of it"


def demands_everywhere(module: Held) -> Broken:
    """After annotation every operation in a pipeline says how often it runs, and every leaf what it needs."""
    for operation in module.stages:
        if "times" not in operation.attributes:
            yield operation, f"'{operation.name}' does not say how often it runs"
        if "entry" in operation.attributes and "demand" not in operation.attributes:
            yield operation, f"'{operation.name}' does not say what it needs"


LAWS: tuple[Law, ...] = (
    Law("ours only", ours_only),
    Law("unique ids", unique_ids),
    Law("unique names", unique_names),
    Law("handles declared", handles_declared),
    Law("calls resolve", calls_resolve),
    Law("emits fit", emits_fit),
    Law("records fit", records_fit),
    Law("enums fit", enums_fit),
    Law("goals resolve", goals_resolve),
    *(Law(*each) for each in (*AGENTS, *PLACED, *PARALLEL)),
    Law("no calls", no_calls, after="inline_pipelines"),
    Law("parts together", parts_together),
    Law("no chats", no_chats, after="split_llm"),
    Law("demands everywhere", demands_everywhere, after="annotate_demand"),
)
