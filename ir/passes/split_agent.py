"""An agent becomes a loop with an end: each turn asks the model, and runs what it calls or stops with its answer.

    %answer = agent(said) at most 5 steps {        %done = repeat turn = Turn(said, none), at most 4 times {
      step(said) => chat(said) into Step             step = chat(turn.said) into Step
      use(call)  => the message of what it gave      match step {
      last(said) => chat(said + hurry)                 Answer(answer) => stop Turn(turn.said, answer)
    }                                                  Use(calls) => {
                                               =>        results = for call in calls { … }
                                                         next Turn(turn.said + [Message(Assistant, step)] + results)
                                                       }
                                                     }
                                                   }
                                                   %answer = match done.answer {
                                                     some(found) => found
                                                     none        => chat(done.said + hurry)
                                                   }

So an agent of N steps asks its model N times at the most: the loop has N - 1 turns, and the last step may use no tools.
What one reply calls runs at the same time, and what the calls gave follows the reply in their order.

The bodies of the agent move as they are. What is put around them has the ids and names that it would have if the loop
had been written; a label goes where the data goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from ...base.problems import Problems
from ...lang.types import JSON, TEXT, EnumType, ListType, OptionType, RecordType, TurnType, Type
from .. import _mlir
from ..carried import RESULT, carried, declare, put
from ..dialect.agents import MESSAGE, SAID, names_of
from ..dialect.types import from_mlir, to_mlir
from ..library import Library

AT_ONCE = 16
"""Of the calls of one reply, as of the bodies of a `for` that says nothing else."""
_ROLE = EnumType("Role")
_KEPT = ("binding", "also", "labels", "tier", "acts", "copies")


def run(module: Any, library: Library) -> Problems:
    del library
    for declared in _mlir.operations(_mlir.body(module)):
        if declared.name in ("agent.pipeline", "agent.test"):
            for operation in list(_mlir.walk(declared)):
                if operation.name == "agent.agent":
                    _Loop(operation).write()
    return ()


class _Loop:
    """The loop of one agent, written where the agent stands."""

    def __init__(self, agent: Any) -> None:
        given = _mlir.attributes_of(agent)
        self._agent = agent
        self._given = given
        self._names = names_of(given)
        self._path = given["id"].rpartition(".")[0]
        self._step, self._use, self._last = (region.blocks[0] for region in agent.regions)
        self._result = from_mlir(agent.results[0].type)
        self._record = RecordType(given["record"])
        # The labels of what is said at first, of a reply, of what its calls give; and of the whole conversation.
        reply, message = (_mlir.operations(block)[-1].operands[0] for block in (self._step, self._use))
        self._opening, self._reply, self._results = map(_labels, (agent.operands[0], reply, message))
        self._state = self._opening | self._reply | self._results

    def _id(self, *parts: str) -> str:
        # Inlining puts the call's path before a name; an id has it already.
        return ".".join((self._path, *(part.rpartition(".")[2] for part in parts)))

    def write(self) -> None:
        names, agent = self._names, self._agent
        done = self._id(names["done"])
        at = _mlir.core.InsertionPoint(agent)
        first = self._turn_value(at, f"{done}.initial", f"{done}.initial", agent.operands[0], None, self._opening)
        put(_mlir.owner(first), 0, carried(agent, 0))
        more = {"binding": names["done"], "variable": names["turn"], "at_most": self._given["at_most"] - 1}
        loop = self._put(at, "repeat", done, (first,), self._record, more, self._state, regions=1)
        self._body(loop)
        ended = self._id("match")
        answer = self._field(at, f"{ended}.field", loop.results[0], "answer", OptionType(self._answer))
        match = self._put(at, "match", ended, (answer,), self._result, {}, (), regions=1)
        for name in _KEPT:
            if name in agent.attributes:
                match.attributes[name] = agent.attributes[name]
        self._ended(match, loop.results[0])
        agent.results[0].replace_all_uses_with(match.results[0])
        agent.erase()

    @property
    def _answer(self) -> Any:
        """The type of an answer that there may be: there is no option of an option."""
        return self._result.element if isinstance(self._result, OptionType) else self._result

    # --- a turn

    def _body(self, loop: Any) -> None:
        turn = self._id(self._names["turn"])
        block = _mlir.block_of(loop.regions[0], [to_mlir(self._record)], [self._agent.location])
        state = block.arguments[0]
        last = self._moved(self._step, block, state)
        reply = last.operands[0]
        at = _mlir.core.InsertionPoint(block)
        match = self._put(at, "match", f"{turn}.match", (reply,), TurnType(self._record), {}, self._state, regions=1)
        arms = _mlir.block_of(match.regions[0])
        self._answered(arms, f"{turn}.match.Answer", state)
        self._used(arms, f"{turn}.match.Use", state, reply)
        self._yield(at, _text(last, "id"), match.results[0])

    def _answered(self, arms: Any, path: str, state: Any) -> None:
        block = self._arm(arms, "Answer", "answer", self._result)
        at, ended = _mlir.core.InsertionPoint(block), f"{path}.turn"
        said = self._field(at, f"{ended}.said", state, "said", SAID)
        answer = self._maybe(at, f"{ended}.answer", block.arguments[0], self._state)
        made = self._turn_value(at, f"{ended}.build", ended, said, answer, self._state)
        self._end(at, path, made, stop=True)

    def _used(self, arms: Any, path: str, state: Any, reply: Any) -> None:
        call = cast(Type, from_mlir(self._use.arguments[0].type))
        block = self._arm(arms, "Use", "calls", ListType(call))
        at, ended = _mlir.core.InsertionPoint(block), f"{path}.turn"
        loop = self._put(
            at,
            "map",
            self._id_below(path, "results"),
            (block.arguments[0],),
            ListType(MESSAGE),
            {"binding": self._names["results"], "variable": self._names["call"], "at_most": AT_ONCE},
            self._results,
            regions=2,
        )
        body = _mlir.block_of(loop.regions[0], [self._use.arguments[0].type], [self._agent.location])
        self._use.arguments[0].replace_all_uses_with(body.arguments[0])
        for operation in _mlir.operations(self._use):
            operation.detach_from_parent()
            body.append(operation)
        said = self._field(at, f"{ended}.said.field", state, "said", SAID)
        spoken = self._spoken(at, f"{ended}.said", reply)
        both = self._plus(at, f"{ended}.said.binary", said, spoken)
        whole = self._plus(at, f"{ended}.said", both, loop.results[0])
        made = self._turn_value(at, f"{ended}.build", ended, whole, None, self._state)
        self._end(at, path, made, stop=False)

    def _spoken(self, at: Any, path: str, reply: Any) -> Any:
        """The reply as a message of the conversation: the JSON that the model has written."""
        labels = self._reply
        who = self._value(at, "case", f"{path}.role", (), _ROLE, {"enum": "Role", "case": "Assistant", "fields": []})
        json = self._put(at, "convert", f"{path}.text.convert", (reply,), JSON, {"checked": False}, labels)
        put(json, 0, carried(self._agent, "reply"))
        text = self._value(at, "template", f"{path}.text", (json.results[0],), TEXT, {"parts": [0]}, labels)
        parts = {"record": "Message", "fields": ["role", "text"]}
        message = self._value(at, "build", f"{path}.build", (who, text), MESSAGE, parts, labels)
        return self._value(at, "list", f"{path}.list", (message,), SAID, {}, labels)

    def _end(self, at: Any, path: str, state: Any, stop: bool) -> None:
        turn = TurnType(self._record)
        made = self._value(at, "turn", f"{path}.turn", (state,), turn, {"stop": stop}, self._state)
        self._yield(at, f"{path}.yield", made)

    # --- the answer

    def _ended(self, match: Any, state: Any) -> None:
        path, arms = self._id("match"), _mlir.block_of(match.regions[0])
        some = self._arm(arms, "some", "found", self._answer)
        at, found = _mlir.core.InsertionPoint(some), some.arguments[0]
        if self._answer != self._result:
            found = self._maybe(at, f"{path}.some.convert", found, self._state)
        declare(self._yield(at, f"{path}.some.yield", found), carried(self._agent, RESULT))
        none = self._arm(arms, "none", None, None)
        last = self._moved(self._last, none, state)
        last.detach_from_parent()
        none.append(last)

    # --- parts

    def _moved(self, body: Any, block: Any, state: Any) -> Any:
        """Move a body that takes what was said to where there is a turn, but for its terminator."""
        at = _mlir.core.InsertionPoint(block)
        said = body.arguments[0]
        taken: set[str] = set()
        for use in [(use.owner.operation, use.operand_number) for use in said.uses][::-1]:
            field = self._field(at, _part(*use, taken), state, "said", SAID)
            use[0].operands[use[1]] = field
        *operations, last = _mlir.operations(body)
        for operation in operations:
            operation.detach_from_parent()
            block.append(operation)
        return last

    def _id_below(self, path: str, role: str) -> str:
        return f"{path}.{self._names[role].rpartition('.')[2]}"

    def _arm(self, arms: Any, case: str, binder: str | None, takes: Any) -> Any:
        """The block of a new arm."""
        binders = {"binders": [self._names[binder]]} if binder is not None else {}
        place = self._agent.location
        made = _mlir.create("agent.arm", attributes={"case": case, **binders}, regions=1, place=place)
        arms.append(made)
        types = [to_mlir(takes)] if binder is not None else []
        return _mlir.block_of(made.regions[0], types, [place] * len(types))

    def _turn_value(self, at: Any, made: str, path: str, said: Any, answer: Any, labels: Iterable[str]) -> Any:
        """What was said, with the answer if there is one."""
        if answer is None:
            answer = self._value(at, "constant", f"{path}.answer", (), OptionType(self._answer), {"value": None})
        parts = {"record": self._record.name, "fields": ["said", "answer"]}
        return self._value(at, "build", made, (said, answer), self._record, parts, labels)

    def _maybe(self, at: Any, made: str, answer: Any, labels: Iterable[str]) -> Any:
        """An answer as one that there may be."""
        wanted = OptionType(self._answer)
        if from_mlir(answer.type) == wanted:
            return answer
        converted = self._put(at, "convert", made, (answer,), wanted, {"checked": False}, labels)
        put(converted, 0, carried(self._agent, "answer"))
        return converted.results[0]

    def _field(self, at: Any, made: str, base: Any, name: str, given: Any) -> Any:
        return self._value(at, "field", made, (base,), given, {"name": name}, self._state)

    def _plus(self, at: Any, made: str, left: Any, right: Any) -> Any:
        return self._value(at, "binary", made, (left, right), SAID, {"operator": "+"}, self._state)

    def _yield(self, at: Any, made: str, value: Any) -> Any:
        last = _mlir.create("agent.yield", operands=(value,), attributes={"id": made}, place=self._agent.location)
        at.insert(last)
        return last

    def _value(
        self,
        at: Any,
        kind: str,
        made: str,
        operands: tuple[Any, ...],
        result: Any,
        attributes: Mapping[str, object],
        labels: Iterable[str] = (),
    ) -> Any:
        return self._put(at, kind, made, operands, result, attributes, labels).results[0]

    def _put(
        self,
        at: Any,
        kind: str,
        made: str,
        operands: tuple[Any, ...],
        result: Any,
        attributes: Mapping[str, object],
        labels: Iterable[str],
        regions: int = 0,
    ) -> Any:
        """A new operation with a result."""
        whole = {"id": made, **attributes, **({"labels": sorted(labels)} if labels else {})}
        operation = _mlir.create(
            f"agent.{kind}",
            operands=operands,
            results=[to_mlir(result)],
            attributes=whole,
            regions=regions,
            place=self._agent.location,
        )
        at.insert(operation)
        return operation


def _text(operation: Any, name: str) -> str:
    return operation.attributes[name].value


def _labels(value: Any) -> frozenset[str]:
    """What an operation says of its result."""
    made = _mlir.owner(value)
    if made is None or "labels" not in made.attributes:
        return frozenset()
    return frozenset(_mlir.plain(made.attributes["labels"]))


def _part(user: Any, position: int, taken: set[str]) -> str:
    """The id of a part of an operation: by the name of the argument where it has names."""
    word = "field"
    if "parameters" in user.attributes:
        word = _mlir.plain(user.attributes["parameters"])[position]
    stem = f"{_text(user, 'id')}.{word}"
    found = next(each for n in range(1, len(taken) + 2) if (each := stem if n == 1 else f"{stem}_{n}") not in taken)
    taken.add(found)
    return found
