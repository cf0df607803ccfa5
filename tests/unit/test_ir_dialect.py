"""Every operation of the dialect: an example that verifies, and one for each rule that breaks it.

Examples are written without `operandSegmentSizes`, which `module` puts in: it is noise here.
"""

from __future__ import annotations

import re

import pytest

from agentlang.ir import compile as irc
from agentlang.ir.dialect.spec import MOST_OPERANDS, OPERATIONS, fits, value_fits
from agentlang.ir.dialect.types import from_mlir, to_mlir
from agentlang.ir.graph import KvType, SamplerType, TokensType, ValueType
from agentlang.lang.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    NONE,
    PRIMITIVES,
    TEXT,
    EnumType,
    HandleType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    StreamType,
    TensorType,
    TurnType,
)

# Values that examples use, by name: how they are declared at the top of the pipeline around them.
VALUES = {
    "text": "!agent.text",
    "int": "!agent.int",
    "float": "!agent.float",
    "bool": "!agent.bool",
    "money": "!agent.money",
    "texts": "!agent.list_of<!agent.text>",
    "stream": "!agent.stream_of<!agent.text>",
    "ids": "!agent.stream_of<!agent.int>",
    "numbers": "!agent.stream_of<!agent.float>",
    "record": '!agent.record_of<"R">',
    "enum": '!agent.enum_of<"E">',
    "plain": '!agent.enum_of<"F">',
    "option": "!agent.option_of<!agent.text>",
    "counts": "!agent.map_of<!agent.int>",
    "json": "!agent.json",
    "bytes": "!agent.bytes",
    "audio": "!agent.audio",
    "model": '!agent.handle_of<"llm.Model">',
    "tokens": '!agent.tokens<"m">',
    "kv": '!agent.kv<"m">',
    "other_kv": '!agent.kv<"n">',
    "sampler": '!agent.sampler<"m">',
    "other_sampler": '!agent.sampler<"n">',
}
_SHORT = re.compile(r"\b([a-z_]+)(?=[<>]|$)")


def write(operation: str) -> str:
    """`%a = agent.stage(text: %text) {entry = "t:r"} -> list_of<text>` as MLIR: named operands as `parameters`, types
    written out, and an id."""
    match = re.fullmatch(r"(%\w+ = )?(agent\.\w+)\(([^)]*)\)\s*(\{.*\})?\s*(?:-> (.*))?", operation)
    assert match is not None, operation
    target, name, given, attributes, shorthand = match.groups()
    operands = [part.strip() for part in given.split(",") if part.strip()]
    inner = [part.strip() for part in (attributes or "{}")[1:-1].split(";") if part.strip()]
    if any(":" in part for part in operands):
        names = [part.split(":")[0] for part in operands]
        inner.append("parameters = [" + ", ".join(f'"{each}"' for each in names) + "]")
        operands = [part.split(": ")[1] for part in operands]
    inner.append(f'id = "p.{next(_IDS)}"')
    spec = OPERATIONS.get(name.removeprefix("agent."))
    if spec is not None and spec.operands[1] == MOST_OPERANDS:
        ones = [1] * len(operands) + [0] * (MOST_OPERANDS - len(operands))
        inner.append(f"operandSegmentSizes = array<i32: {', '.join(map(str, ones))}>")
    result = _SHORT.sub(r"!agent.\1", shorthand or "")
    types = ", ".join(TYPES[part[1:]] for part in operands)
    if target is not None:
        TYPES[target[1:].split()[0]] = result
    return f'{target or ""}"{name}"({", ".join(operands)}) {{{", ".join(inner)}}} : ({types}) -> ({result})'


TYPES: dict[str, str] = dict(VALUES)
HANDLE = '"agent.handle"() {{name = "{0}", keyword = "{1}", type = "llm.Model", entry = "{2}", arguments = {{}}}}'
_IDS = iter(range(1_000_000))


def module(*operations: str, returns: str = "") -> str:
    """A module with one pipeline whose parameters are all of `VALUES`."""
    TYPES.clear()
    TYPES.update(VALUES)
    arguments = ", ".join(f"%{name}: {given}" for name, given in VALUES.items())
    parameters = ", ".join(f'{{name = "{name}", type = {given}, required = true}}' for name, given in VALUES.items())
    lines = "\n".join(write(operation) for operation in operations)
    result = TYPES[returns[1:]] if returns else "!agent.stream_of<!agent.text>"
    fields = '[{name = "a", type = !agent.text}, {name = "b", type = !agent.int}]'
    cases = '[{name = "A", payload = [{name = "order", type = !agent.int}]}, {name = "B", payload = []}]'
    return f""""builtin.module"() ({{
      "agent.enum"() {{name = "E", cases = {cases}}} : () -> ()
      "agent.enum"() {{name = "F", cases = [{{name = "C", payload = []}}]}} : () -> ()
      "agent.record"() {{name = "R", fields = {fields}}} : () -> ()
      {HANDLE.format("m", "model", "llm:model")} : () -> ()
      {HANDLE.format("n", "model", "llm:model")} : () -> ()
      "agent.pipeline"() ({{ ^bb0({arguments}):
        {lines}
        {write("agent.return(" + returns + ")")}
      }}) {{name = "p", parameters = [{parameters}], result = {result}}} : () -> ()
    }}) : () -> ()"""


def titles(text: str) -> list[str]:
    return [problem.title for problem in irc.parse(text)[1]]


GOOD = [
    "%a = agent.constant() {value = 3} -> int",
    '%a = agent.constant() {value = ["x", "y"]} -> list_of<text>',
    "%a = agent.constant() {value = unit} -> option_of<int>",
    "%a = agent.constant() {value = 2.5e-1} -> duration",
    '%a = agent.open() {name = "m"} -> handle_of<"llm.Model">',
    '%a = agent.template(%text, %int) {parts = ["a", 0, 1, 0]} -> text',
    '%a = agent.build(%text, %int) {record = "R"; fields = ["a", "b"]} -> record_of<"R">',
    '%a = agent.field(%record) {name = "b"} -> int',
    "%a = agent.list(%int, %float) -> list_of<float>",
    '%a = agent.binary(%int, %float) {operator = "*"} -> float',
    '%a = agent.binary(%text, %text) {operator = "+"} -> text',
    '%a = agent.binary(%texts, %text) {operator = "contains"} -> bool',
    '%a = agent.binary(%money, %money) {operator = "<="} -> bool',
    '%a = agent.unary(%bool) {operator = "not"} -> bool',
    "%a = agent.collect(%stream) -> text",
    "%a = agent.collect(%numbers) -> list_of<float>",
    "%a = agent.length(%texts) -> int",
    '%a = agent.stage(text: %text) {entry = "text:redact"} -> text',
    "%a = agent.chat(self: %model, prompt: %text, max_tokens: %int) -> stream_of<text>",
    '%a = agent.tokenize(self: %model, prompt: %text) {entry = "llm:tokenize"} -> tokens<"m">',
    '%a = agent.prefill(self: %model, tokens: %tokens) {entry = "llm:prefill"} -> kv<"m">',
    '%a = agent.kv_transfer(kv: %kv) {entry = "llm:transfer"} -> kv<"m">',
    '%a = agent.decode(self: %model, kv: %kv, max_tokens: %int) {entry = "llm:decode"} -> stream_of<int>',
    '%a = agent.detokenize(self: %model, tokens: %ids) {entry = "llm:detokenize"} -> stream_of<text>',
    "agent.emit(%text)",
    "agent.expect(%bool)",
    'agent.expect(%bool, %text) {shown = ["reply"]}',
    'agent.expect(%bool, %int, %int) {operator = "<"; shown = ["a", "b"]}',
    "%a = agent.template(%json, %plain) {parts = [0, 1]} -> text",
    '%a = agent.table(%int, %int) {keys = ["a", "b b"]} -> map_of<int>',
    "%a = agent.constant() {value = {a = 1}} -> map_of<int>",
    "%a = agent.index(%texts, %int) -> text",
    "%a = agent.index(%counts, %text) -> option_of<int>",
    "%a = agent.index(%json, %text) -> option_of<json>",
    '%a = agent.case(%int) {enum = "E"; case = "A"; fields = ["order"]} -> enum_of<"E">',
    '%a = agent.case() {enum = "E"; case = "B"; fields = []} -> enum_of<"E">',
    '%a = agent.convert(%json) {checked = true} -> record_of<"R">',
    "%a = agent.convert(%record) {checked = false} -> json",
    "%a = agent.convert(%text) {checked = false} -> option_of<text>",
    '%a = agent.declassify(%text) {labels = ["pii"]} -> text',
    "%a = agent.buffered(%stream) -> stream_of<text>",
    '%a = agent.parse(%text) {schema = "{}"} -> record_of<"R">',
    "%a = agent.turn(%text) {stop = true} -> turn_of<text>",
    '%a = agent.stage(id: %int) {entry = "python:call"; tool = "refund"; settings = {target = "a:b"}; '
    'effects = ["writes payments", "network"]; needs = {cpu = 2.0e-3}} -> text',
    '%a = agent.chat(self: %model, prompt: %text, max_tokens: %int) {schema = "{}"} -> enum_of<"E">',
    '%a = agent.decode(self: %model, kv: %kv, max_tokens: %int) {entry = "llm:decode"; schema = "{}"} '
    "-> stream_of<int>",
    "%a = agent.positions(%texts) -> list_of<int>",
    '%a = agent.sample(self: %model, temperature: %float, seed: %int) {entry = "llm:sample"} -> sampler<"m">',
    '%a = agent.decode(self: %model, kv: %kv, max_tokens: %int, sampler: %sampler) {entry = "llm:decode"} '
    "-> stream_of<int>",
    '%a = agent.embed(self: %model, text: %text) {entry = "embed:embed"} -> list_of<float>',
    '%a = agent.embed(self: %model, texts: %texts) {entry = "embed:embed_all"; '
    'batch = {entry = "embed:embed", parameter = "text", items = "texts"}} -> list_of<list_of<float>>',
    '%a = agent.score(self: %model, texts: %texts, question: %text) {entry = "search:rerank"} -> list_of<text>',
    '%a = agent.score(self: %model, text: %text) {entry = "x:fits"} -> float',
    '%a = agent.transcribe(self: %model, audio: %audio) {entry = "speech:transcribe"} -> text',
    '%a = agent.synthesise(self: %model, text: %stream) {entry = "speech:speak"} -> stream_of<audio>',
    '%a = agent.lookup(id: %int) {entry = "http:get"; tool = "order"; part_of = "order"; partial = true; '
    'settings = {url = "x"}; effects = ["network"]} -> bytes',
    '%a = agent.load(self: %model) {entry = "memory:load"} -> list_of<text>',
    '%a = agent.store(self: %model, reply: %text) {entry = "memory:store"} -> list_of<text>',
    '%a = agent.compute(body: %bytes) {entry = "http:read"; tool = "order"; part_of = "order"; arguments = [""]} '
    '-> record_of<"R">',
]

BAD = [
    ("%a = agent.positions(%text) -> list_of<int>", "takes a list, not Text"),
    ("%a = agent.positions(%texts) -> list_of<text>", "gives a list of Int, not [Text]"),
    ('%a = agent.sample(self: %model, heat: %float) {entry = "llm:sample"} -> sampler<"m">', "no parameter heat"),
    ('%a = agent.sample(self: %model) {entry = "llm:sample"} -> int', "gives a sampler, not Int"),
    ('%a = agent.sample(self: %model) {entry = "llm:sample"; schema = "{"} -> sampler<"m">', "schema that is no JSON"),
    (
        '%a = agent.decode(self: %model, kv: %kv, max_tokens: %int, sampler: %other_sampler) {entry = "llm:decode"} '
        "-> stream_of<int>",
        "decodes kv<m> as sampler<n> says",
    ),
    (
        "%a = agent.decode(self: %model, kv: %kv, max_tokens: %int, sampler: %sampler, seed: %int) "
        '{entry = "llm:decode"} -> stream_of<int>',
        "by a sampler, and beside it",
    ),
    ('%a = agent.embed(self: %model, text: %int) {entry = "e:e"} -> list_of<float>', "embeds no text"),
    ('%a = agent.embed(self: %model, text: %text) {entry = "e:e"} -> text', "gives vectors, not Text"),
    ('%a = agent.embed(text: %text) {entry = "e:e"} -> list_of<float>', "is the work of a model, not of None"),
    ('%a = agent.embed(self: %model, text: %text) {entry = "llm:embed"} -> list_of<float>', "the entry of a chat's"),
    ('%a = agent.score(self: %model, text: %text) {entry = "s:s"} -> text', "the scores, not Text"),
    ('%a = agent.score(self: %text) {entry = "s:s"} -> float', "is the work of a model, not of Text"),
    ('%a = agent.transcribe(self: %model, audio: %text) {entry = "s:t"} -> text', "none of what it takes is Audio"),
    ('%a = agent.transcribe(self: %model, audio: %audio) {entry = "s:t"} -> int', "gives Text, not Int"),
    ('%a = agent.synthesise(self: %model, text: %int) {entry = "s:s"} -> audio', "none of what it takes is Text"),
    ('%a = agent.synthesise(self: %model, text: %text) {entry = "s:s"} -> text', "gives Audio, not Text"),
    ('%a = agent.lookup(id: %int) {entry = "get"} -> bytes', "is not 'module:name'"),
    ('%a = agent.lookup(id: %int) {entry = "a:b"; partial = true} -> bytes', "does not say of what it is a part"),
    ('%a = agent.lookup(id: %int) {entry = "a:b"; part_of = "c"; arguments = []} -> bytes', "but says of 0"),
    ('%a = agent.lookup(kv: %kv) {entry = "a:b"} -> bytes', "is for the stages of a chat"),
    ('%a = agent.load(self: %text) {entry = "memory:load"} -> list_of<text>', "is of a memory, not of Text"),
    ('%a = agent.store(self: %model) {entry = "memory:store"} -> list_of<text>', "stores nothing"),
    ('%a = agent.compute(id: %int) {entry = "a:b"; effects = ["network"]} -> int', "which is for a lookup"),
    ('%a = agent.compute(id: %int) {entry = "a:b"; effects = ["burns it"]} -> int', "has an effect 'burns it'"),
    ("%a = agent.constant() {value = 3} -> text", "a value that is no Text"),
    ("%a = agent.constant() {value = true} -> int", "a value that is no Int"),
    ("%a = agent.constant() {value = [1]} -> list_of<text>", "a value that is no [Text]"),
    ('%a = agent.constant() {value = "x"} -> record_of<"R">', "a value that is no R"),
    ('%a = agent.open() {name = "m"} -> text', "gives a handle, not Text"),
    ("%a = agent.open() {name = 3} -> text", "has an attribute 'name' that is not a text"),
    ('%a = agent.template(%text) {parts = ["a", 1]} -> text', "has a hole for operand 1, but 1 operands"),
    ('%a = agent.template(%text) {parts = ["a"]} -> text', "never uses operand 0"),
    ("%a = agent.template(%record) {parts = [0]} -> text", "type R, which has no text form"),
    ("%a = agent.template(%text) {parts = [0]} -> int", "gives a Text, not Int"),
    ("%a = agent.template(%text) {parts = [0, true]} -> text", "neither a text nor an operand's index"),
    ('%a = agent.build(%text) {record = "R"; fields = ["a", "b"]} -> record_of<"R">', "1 operands but 2 field"),
    ('%a = agent.build(%text, %int) {record = "R"; fields = ["a", "a"]} -> record_of<"R">', "names a field twice"),
    ('%a = agent.build(%text, %int) {record = "R"; fields = ["a", 3]} -> record_of<"R">', "not a list of texts"),
    ('%a = agent.build(%text, %int) {record = "Q"; fields = ["a", "b"]} -> record_of<"R">', "gives the record Q"),
    ('%a = agent.field(%text) {name = "b"} -> int', "takes a record, not Text"),
    ("%a = agent.list(%int, %text) -> list_of<int>", "an item of type Text in a list of Int"),
    ("%a = agent.list(%int) -> int", "gives a list, not Int"),
    ('%a = agent.binary(%int, %int) {operator = "^"} -> int', "has no operator '^'"),
    ('%a = agent.binary(%int, %text) {operator = "+"} -> int', "'+' does not take Int and Text to Int"),
    ('%a = agent.binary(%int, %int) {operator = "<"} -> int', "'<' gives a Bool, not Int"),
    ('%a = agent.binary(%int, %text) {operator = "=="} -> bool', "cannot compare Int with Text"),
    ('%a = agent.binary(%record, %record) {operator = "<"} -> bool', "R has no order"),
    ('%a = agent.binary(%bool, %int) {operator = "and"} -> bool', "'and' joins two Bools"),
    ('%a = agent.binary(%text, %int) {operator = "contains"} -> bool', "no Text contains Int"),
    ('%a = agent.binary(%text, %text) {operator = "contains"} -> text', "'contains' gives a Bool"),
    ('%a = agent.unary(%text) {operator = "-"} -> text', "'-' does not take Text to Text"),
    ('%a = agent.unary(%int) {operator = "+"} -> int', "has no operator '+'"),
    ("%a = agent.collect(%text) -> text", "takes a stream, not Text"),
    ("%a = agent.collect(%ids) -> text", "does not collect stream Int to Text"),
    ("%a = agent.length(%int) -> int", "takes a Text, list or map, not Int"),
    ("%a = agent.length(%text) -> float", "gives an Int, not Float"),
    ('%a = agent.stage(text: %text) {entry = "redact"} -> text', "is not 'module:name'"),
    ('%a = agent.stage(%text) {entry = "t:r"; parameters = []} -> text', "1 operands but 0 parameter names"),
    ('%a = agent.stage(a: %text, a: %int) {entry = "t:r"} -> text', "names a parameter twice"),
    ('%a = agent.stage(a: %text) {entry = "llm:chat"} -> text', "must be agent.chat"),
    (
        "%a = agent.chat(self: %text, prompt: %text, max_tokens: %int) -> stream_of<text>",
        "is asked of a model, not of Text",
    ),
    ("%a = agent.chat(self: %model, prompt: %int, max_tokens: %int) -> stream_of<text>", "has a prompt of type Int"),
    ("%a = agent.chat(self: %model, prompt: %text) -> stream_of<text>", "lacks the argument max_tokens"),
    ("%a = agent.chat(self: %model, prompt: %text, max_tokens: %int) -> text", "gives a stream of Text, not Text"),
    (
        '%a = agent.tokenize(self: %model, prompt: %text) {entry = "llm:chat"} -> tokens<"m">',
        "has the entry 'llm:tokenize'",
    ),
    (
        '%a = agent.tokenize(self: %model, prompt: %int) {entry = "llm:tokenize"} -> tokens<"m">',
        "has a prompt of type Int",
    ),
    ('%a = agent.tokenize(self: %model, prompt: %text) {entry = "llm:tokenize"} -> kv<"m">', "gives tokens, not kv<m>"),
    (
        '%a = agent.prefill(self: %model, tokens: %text) {entry = "llm:prefill"} -> kv<"m">',
        "fills the cache of 'm' from Text",
    ),
    (
        '%a = agent.prefill(self: %model, tokens: %tokens) {entry = "llm:prefill"} -> kv<"n">',
        "fills the cache of 'n' from tokens<m>",
    ),
    (
        '%a = agent.prefill(self: %text, tokens: %tokens) {entry = "llm:prefill"} -> kv<"m">',
        "works on a model, not on Text",
    ),
    ('%a = agent.prefill(self: %model, x: %tokens) {entry = "llm:prefill"} -> kv<"m">', "has no parameter x"),
    (
        '%a = agent.prefill(self: %model, tokens: %tokens) {entry = "llm:prefill"} -> tokens<"m">',
        "gives a KV cache, not tokens<m>",
    ),
    ('%a = agent.kv_transfer(kv: %kv) {entry = "llm:transfer"} -> kv<"n">', "does not move kv<m> to kv<n>"),
    (
        '%a = agent.decode(self: %model, kv: %tokens, max_tokens: %int) {entry = "llm:decode"} -> stream_of<int>',
        "decodes a KV cache, not tokens<m>",
    ),
    (
        '%a = agent.decode(self: %model, kv: %kv, max_tokens: %text) {entry = "llm:decode"} -> stream_of<int>',
        "has max_tokens of type Text",
    ),
    (
        '%a = agent.decode(self: %model, kv: %kv, max_tokens: %int) {entry = "llm:decode"} -> stream_of<text>',
        "gives a stream of Int, not stream Text",
    ),
    (
        '%a = agent.detokenize(self: %model, tokens: %tokens) {entry = "llm:detokenize"} -> stream_of<text>',
        "takes a stream of token ids, not tokens<m>",
    ),
    (
        '%a = agent.detokenize(self: %model, tokens: %ids) {entry = "llm:detokenize"} -> stream_of<int>',
        "gives a stream of Text, not stream Int",
    ),
    ("agent.emit(%kv)", "cannot send kv<m> out"),
    ("agent.expect(%text)", "takes a Bool, not Text"),
    ("agent.expect(%bool, %text)", "names each of the values that it shows"),
    ('agent.expect(%bool, %text) {operator = "<"; shown = ["a"]}', "compares two values"),
    ("%a = agent.length(%text) {colour = 3} -> int", "has an attribute 'colour' that it does not know"),
    ("%a = agent.length(%text) {binding = 3} -> int", "has an attribute 'binding' that is not a text"),
    ("%a = agent.template(%enum) {parts = [0]} -> text", "a hole has the type E, whose payload has no text form"),
    ('%a = agent.table(%int) {keys = ["a", "b"]} -> map_of<int>', "1 operands but 2 keys"),
    ('%a = agent.table(%int, %int) {keys = ["a", "a"]} -> map_of<int>', "has a key twice"),
    ('%a = agent.table(%text) {keys = ["a"]} -> map_of<int>', "a value of type Text in a map of Int"),
    ('%a = agent.table(%int) {keys = ["a"]} -> list_of<int>', "gives a map, not [Int]"),
    ("%a = agent.constant() {value = {a = 1}} -> map_of<text>", "a value that is no {Text: Text}"),
    ("%a = agent.index(%texts, %text) -> text", "takes no Text of [Text]"),
    ("%a = agent.index(%counts, %text) -> int", "gives Int?, not Int"),
    ('%a = agent.case(%int) {enum = "E"; case = "A"; fields = []} -> enum_of<"E">', "1 operands but 0 field names"),
    ('%a = agent.case() {enum = "E"; case = "B"; fields = []} -> enum_of<"F">', "gives the enum E, not F"),
    ('%a = agent.case() {enum = "E"; case = "C"; fields = []} -> enum_of<"E">', "E.C is no case of a declared enum"),
    ('%a = agent.case(%int) {enum = "E"; case = "A"; fields = ["id"]} -> enum_of<"E">', "E.A has the fields order"),
    ('%a = agent.case(%text) {enum = "E"; case = "A"; fields = ["order"]} -> enum_of<"E">', "A.order is Int, not Text"),
    ('%a = agent.convert(%text) {checked = true} -> record_of<"R">', "can check Json for a type of data, not Text"),
    ("%a = agent.convert(%json) {checked = true} -> stream_of<text>", "not Json for stream Text"),
    ("%a = agent.convert(%json) {checked = false} -> text", "cannot make Text of Json without a check"),
    ("%a = agent.convert(%stream) {checked = false} -> json", "cannot make Json of stream Text"),
    ("%a = agent.declassify(%text) -> int", "changes Text to Int"),
    ("%a = agent.declassify(%text) {labels = [1]} -> text", "has an attribute 'labels' that is not a list of texts"),
    ("%a = agent.buffered(%text) -> text", "does not hold back Text as Text"),
    ("%a = agent.buffered(%stream) -> stream_of<int>", "does not hold back stream Text as stream Int"),
    ('%a = agent.parse(%int) {schema = "{}"} -> text', "takes a Text, not Int"),
    ('%a = agent.parse(%text) {schema = "{"} -> text', "has a schema that is no JSON"),
    ('%a = agent.parse(%text) {schema = "{}"} -> stream_of<text>', "gives stream Text, which no JSON is"),
    ("%a = agent.turn(%text) {stop = true} -> turn_of<int>", "does not make turn of Int of Text"),
    ("%a = agent.turn(%text) {stop = true} -> text", "does not make Text of Text"),
    ('%a = agent.stage(a: %text) {entry = "a:b"; effects = ["burns money"]} -> text', "has an effect 'burns money'"),
    (
        '%a = agent.stage(a: %text) {entry = "a:b"; settings = 3} -> text',
        "has an attribute 'settings' that is not a map",
    ),
    (
        '%a = agent.chat(self: %model, prompt: %text, max_tokens: %int) {schema = "no"} -> enum_of<"E">',
        "has a schema that is no JSON",
    ),
    (
        '%a = agent.chat(self: %model, prompt: %text, max_tokens: %int) {schema = "{}"} -> stream_of<text>',
        "has a schema, but gives stream Text",
    ),
    (
        'agent.tier() {name = "c"; device = "d"; least = 0; most = 1}',
        "stands in agent.pipeline, but belongs in agent.fleet",
    ),
]


@pytest.mark.parametrize("operation", GOOD)
def test_good(operation: str) -> None:
    assert titles(module(operation)) == []


@pytest.mark.parametrize(("operation", "title"), BAD, ids=[title for _, title in BAD])
def test_bad(operation: str, title: str) -> None:
    found = titles(module(operation))
    assert any(title in each for each in found), found


HANDLES = '%m = agent.open() {name = "m"} -> handle_of<"llm.Model">'


@pytest.mark.parametrize(
    "operation",
    [
        '%a = agent.tokenize(self: %m, prompt: %text) {entry = "llm:tokenize"} -> tokens<"n">',
        '%a = agent.prefill(self: %m, tokens: %tokens) {entry = "llm:prefill"} -> kv<"n">',
        '%a = agent.decode(self: %m, kv: %other_kv, max_tokens: %int) {entry = "llm:decode"} -> stream_of<int>',
    ],
)
def test_the_cache_of_one_model_is_not_for_another(operation: str) -> None:
    assert any("works on the model 'm' but on types of 'n'" in title for title in titles(module(HANDLES, operation)))


# --- bodies ----------------------------------------------------------------------------------------------------------


def map_over(
    over: str, result: str, body: str, argument: str = "!agent.text", where: str = "", at_most: int = 4
) -> str:
    fields = f'variable = "v", at_most = {at_most} : i64, id = "p.map"'
    filtered = f"{{ ^bb0(%w: {argument}): {where} }}" if where else "{}"
    to = "%out = " if result else ""
    return (
        f'{to}"agent.map"(%{over}) ({{ ^bb0(%v: {argument}): {body} }}, {filtered}) {{{fields}}}'
        f" : ({VALUES[over]}) -> ({result})"
    )


def branch(result: str, then: str, otherwise: str, condition: str = "bool") -> str:
    return (
        f'%out = "agent.if"(%{condition}) ({{ {then} }}, {{ {otherwise} }}) {{id = "p.if"}}'
        f" : ({VALUES[condition]}) -> ({result})"
    )


def yields(value: str, given: str) -> str:
    return f'"agent.yield"({value}) {{id = "p.{next(_IDS)}"}} : ({given}) -> ()'


def arm(value: str, given: str, case: str | None = None, arguments: str = "", binders: str = "[]") -> str:
    attributes = "" if case is None else f'{{case = "{case}", binders = {binders}}}'
    body = yields(value, given) if given or not value else value
    return f'"agent.arm"() ({{ ^bb0({arguments}): {body} }}) {attributes} : () -> ()'


def match_over(subject: str, *arms: str, result: str = "!agent.text") -> str:
    to = "%out = " if result else ""
    return (
        f'{to}"agent.match"(%{subject}) ({{ {" ".join(arms)} }}) {{id = "p.match"}} : ({VALUES[subject]}) -> ({result})'
    )


def race(*arms: str) -> str:
    return f'%out = "agent.race"() ({{ {" ".join(arms)} }}) {{id = "p.race"}} : () -> (!agent.text)'


def turn(value: str, given: str) -> str:
    n = next(_IDS)
    made = f'%t{n} = "agent.turn"({value}) {{stop = true, id = "p.{n}"}} : ({given}) -> !agent.turn_of<{given}>'
    return f"{made} {yields(f'%t{n}', f'!agent.turn_of<{given}>')}"


def repeat(body: str, argument: str = "!agent.text", at_most: int = 3, variable: str = "s") -> str:
    fields = f'variable = "{variable}", at_most = {at_most} : i64, id = "p.repeat"'
    inner = f"{{ ^bb0(%s: {argument}): {body} }}"
    return f'%out = "agent.repeat"(%text) ({inner}) {{{fields}}} : (!agent.text) -> (!agent.text)'


def around(name: str, *bodies: str, attributes: str = "", question: str = "") -> str:
    operand, given = (f"%{question}", VALUES[question]) if question else ("", "")
    inner = ", ".join(f"{{ {body} }}" for body in bodies)
    fields = f'id = "p.{name}"' + (f", {attributes}" if attributes else "")
    return f'%out = "agent.{name}"({operand}) ({inner}) {{{fields}}} : ({given}) -> (!agent.text)'


def generator(*body: str, given: str = "!agent.stream_of<!agent.text>") -> str:
    return f'%out = "agent.generator"() ({{ {" ".join(body)} }}) {{id = "p.generator"}} : () -> ({given})'


def fused(*body: str, given: str = "!agent.text") -> str:
    return f'%out = "agent.fused"() ({{ {" ".join(body)} }}) {{id = "p.fused"}} : () -> {given}'


ONE = f"operandSegmentSizes = array<i32: {', '.join(['1'] + ['0'] * (MOST_OPERANDS - 1))}>"
NOTED = f'%n = "agent.template"(%text) {{parts = [0], id = "p.n", {ONE}}} : (!agent.text) -> !agent.text'
NOTE = yields("%n", "!agent.text")
JOINED = '%n = "agent.collect"(%stream) {id = "p.n"} : (!agent.stream_of<!agent.text>) -> !agent.text'
STAGE = f'{{entry = "a:b", parameters = ["of"], id = "p.n", {ONE}}}'
STREAMED = f'%n = "agent.stage"(%stream) {STAGE} : (!agent.stream_of<!agent.text>) -> !agent.text'
OPENED = f'%m = "agent.stage"(%text) {STAGE} : (!agent.text) -> !agent.stream_of<!agent.text>'
SAYS, AGAIN, COUNTS = yields("%text", "!agent.text"), yields("%text", "!agent.text"), yields("%int", "!agent.int")
A = arm("%text", "!agent.text", "A", "%o: !agent.int", '["order"]')
B, ANY = arm("%text", "!agent.text", "B"), arm("%text", "!agent.text", "_")
NONE_ARM, SOME = arm("%text", "!agent.text", "none"), arm("%x", "!agent.text", "some", "%x: !agent.text", '["x"]')

TEXT_LIST, TEXT_STREAM = "!agent.list_of<!agent.text>", "!agent.stream_of<!agent.text>"
STREAMS = yields("%stream", TEXT_STREAM)
BODIES = [
    (map_over("texts", TEXT_LIST, yields("%v", "!agent.text")), None),
    (map_over("texts", TEXT_LIST, yields("%v", "!agent.text"), where=yields("%bool", "!agent.bool")), None),
    (map_over("stream", TEXT_STREAM, yields("%v", "!agent.text")), None),
    (map_over("stream", TEXT_STREAM, yields("%stream", TEXT_STREAM)), None),
    (map_over("texts", "", yields("", "")), None),
    (map_over("texts", TEXT_LIST, yields("%v", "!agent.int"), "!agent.int"), "with a body that takes Int"),
    (map_over("texts", TEXT_LIST, yields("%int", "!agent.int")), "gives [Text], but its body yields Int"),
    (map_over("texts", TEXT_LIST, yields("", "")), "has 1 results, but a body that yields 0"),
    (map_over("stream", TEXT_LIST, yields("%v", "!agent.text")), None),
    (map_over("stream", TEXT_LIST, yields("%stream", TEXT_STREAM)), "gives [Text], but its body yields stream Text"),
    (map_over("texts", "!agent.text", yields("%v", "!agent.text")), "gives a list or a stream, not Text"),
    (map_over("text", TEXT_LIST, yields("%v", "!agent.text")), "goes over a list or stream, not Text"),
    (
        map_over("texts", "", '"agent.return"() {id = "p.map.return"} : () -> ()'),
        "stands in agent.map, but belongs in agent.pipeline or agent.test",
    ),
    (map_over("texts", TEXT_LIST, yields("%v", "!agent.text"), at_most=0), "at least one body at once"),
    (
        map_over("texts", TEXT_LIST, yields("%v", "!agent.text"), where=yields("%w", "!agent.text")),
        "has a filter that yields no Bool",
    ),
    (branch("!agent.float", yields("%int", "!agent.int"), yields("%float", "!agent.float")), None),
    (
        branch("!agent.text", yields("%text", "!agent.text"), yields("%int", "!agent.int")),
        "branch 'otherwise' yields Int",
    ),
    (branch("!agent.text", yields("%text", "!agent.text"), ""), "has no branch 'otherwise'"),
    (
        branch("!agent.text", yields("%text", "!agent.text"), yields("", "")),
        "has 1 results, but a branch 'otherwise' that yields 0",
    ),
    (
        branch("!agent.text", yields("%text", "!agent.text"), yields("%text", "!agent.text"), "int"),
        "takes a Bool, not Int",
    ),
    (match_over("enum", A, B), None),
    (match_over("enum", A, ANY), None),
    (match_over("option", NONE_ARM, SOME), None),
    (match_over("option", SOME, ANY), None),
    (match_over("enum", arm("", "", "A", "%o: !agent.int"), arm("", "", "B"), result=""), None),
    (match_over("text", ANY), "is over an enum or an option, not Text"),
    (match_over("enum"), "has no arm"),
    (match_over("enum", '"agent.emit"(%text) {id = "p.emit"} : (!agent.text) -> ()'), "holds arms, and nothing else"),
    (match_over("enum", A), "no arm is for E.B"),
    (match_over("enum", A, A, B), "never comes to its arm 'A'"),
    (match_over("enum", ANY, B), "never comes to its arm 'B'"),
    (match_over("enum", A, arm("%text", "!agent.text", "C"), ANY), "E has no case 'C'"),
    (match_over("enum", arm("%text", "!agent.text", "A"), B), "the arm of E.A does not take its payload"),
    (match_over("enum", A, arm("%text", "!agent.text", "_", "%o: !agent.int")), "has an arm '_' with arguments"),
    (match_over("enum", A, arm("%int", "!agent.int", "B")), "gives Text, but an arm 'B' yields Int"),
    (match_over("enum", A, arm("", "", "B")), "has 1 results, but an arm 'B' that yields 0"),
    (match_over("enum", A, arm("%text", "!agent.text")), "has an arm without a case"),
    (match_over("option", SOME), "does not cover every case"),
    (match_over("option", A, ANY), "has an arm 'A', which no option is"),
    (match_over("option", NONE_ARM, arm("%text", "!agent.text", "some")), "has an arm 'some' that takes nothing"),
    (match_over("enum", A, arm("%text", "!agent.text", "B", binders='["x"]')), "has not one binder for each argument"),
    (match_over("enum", A, arm("%text", "!agent.text", "", "")), "has a case without a name"),
    (fused(NOTED, NOTE), None),
    (fused(yields("%text", "!agent.text")), None),
    (fused(NOTED, NOTE, given="!agent.int"), "gives Int, but its body yields Text"),
    (fused(JOINED, NOTE), "holds 'agent.collect', which does not only compute"),
    (fused(STREAMED, NOTE), "holds 'agent.stage', which does not take plain values alone"),
    (fused(OPENED, yields("%text", "!agent.text")), "holds 'agent.stage', which gives no plain value"),
    (fused(yields("%stream", TEXT_STREAM), given=TEXT_STREAM), "which is no plain value"),
    (race(arm("%text", "!agent.text"), arm("%text", "!agent.text")), None),
    (race(), "has no arm"),
    (race(arm("%text", "!agent.text"), arm("%int", "!agent.int")), "gives Text, but a branch yields Int"),
    (race(arm("%text", "!agent.text", None, "%x: !agent.text")), "has a branch with arguments"),
    (repeat(turn("%s", "!agent.text")), None),
    (repeat(SAYS), "has a body that yields Text, not a turn of Text"),
    (repeat(turn("%int", "!agent.int")), "has a body that yields turn of Int, not a turn of Text"),
    (repeat(turn("%s", "!agent.int"), "!agent.int"), "has no body that takes Text"),
    (repeat(turn("%s", "!agent.text"), at_most=0), "must allow at least one turn"),
    (repeat(turn("%s", "!agent.text"), variable=""), "has a variable without a name"),
    (around("try", SAYS, AGAIN, attributes='reasons = ["timeout"]'), None),
    (around("try", SAYS, "", attributes="reasons = []"), "lacks a body 'fallback'"),
    (around("try", COUNTS, SAYS, attributes="reasons = []"), "gives Text, but a body 'value' yields Int"),
    (around("try", SAYS, SAYS, attributes='reasons = ["timeout", "timeout"]'), "names a reason twice"),
    (around("guard", SAYS, attributes="approve = false, timeout = 8.0e-1, retries = 2, backoff = 5.0e-2"), None),
    (around("guard", SAYS, attributes='approve = true, buffer = 4, drop = "oldest"', question="text"), None),
    (around("guard", SAYS, attributes="approve = true"), "asks a person without a question"),
    (around("guard", SAYS, attributes="approve = true", question="int"), "asks a Text, not Int"),
    (around("guard", SAYS, attributes='approve = false, timeout = "1 s"'), "has a timeout that is no amount"),
    (around("guard", SAYS, attributes="approve = false, idle = -1.0"), "has a idle that is no amount"),
    (around("guard", SAYS, attributes="approve = false, retries = 0"), "has a retries of 0"),
    (around("guard", SAYS, attributes='approve = false, drop = "newest"'), "drops wait or oldest, not 'newest'"),
    (around("guard", COUNTS, attributes="approve = false"), "gives Text, but a body yields Int"),
    (generator('"agent.emit"(%text) {id = "p.inner"} : (!agent.text) -> ()', yields("", "")), None),
    (generator('"agent.emit"(%stream) {id = "p.inner"} : (!agent.stream_of<!agent.text>) -> ()', STREAMS), None),
    (
        generator('"agent.emit"(%int) {id = "p.inner"} : (!agent.int) -> ()', STREAMS),
        "Int is emitted where stream Text",
    ),
    (generator(SAYS), "gives stream Text, but its body yields Text"),
    (generator(""), "has no body"),
    (generator(f"^bb0(%x: !agent.text): {STREAMS}"), "has a body with arguments"),
    (generator(SAYS, given="!agent.text"), "gives a stream, not Text"),
    (around("interruptible", SAYS), None),
    (around("interruptible", f"^bb0(%x: !agent.text): {SAYS}"), "has a body with arguments"),
]


@pytest.mark.parametrize(("operation", "title"), BODIES, ids=[title or "good" for _, title in BODIES])
def test_bodies(operation: str, title: str | None) -> None:
    found = titles(module("agent.emit(%text)").replace('"agent.emit"', f'{operation}\n"agent.emit"', 1))
    assert found == [] if title is None else any(title in each for each in found), found


# --- declarations ----------------------------------------------------------------------------------------------------


def parameter(rest: str, result: str = "none") -> str:
    """The attributes of a pipeline with one parameter `a: Int`."""
    return f'parameters = [{{name = "a", type = !agent.int, {rest}}}], result = !agent.{result}'


def declared(operation: str) -> list[str]:
    return titles(f'"builtin.module"() ({{ {operation} : () -> () }}) : () -> ()')


PIPELINE = (
    '"agent.pipeline"() ({{ ^bb0({0}): "agent.return"({1}) {{id = "p.return"}} : ({2}) -> () }}) {{name = "p", {3}}}'
)
FLEET = '"agent.fleet"() ({{ {0} }}) {{name = "f"}}'
TIER = '"agent.tier"() {{name = "{0}", device = "d", least = {1} : i64, most = {2} : i64}} : () -> ()'
ENDPOINT = (
    '"agent.tier"() {{name = "e", device = "{0}", least = 0 : i64, most = 1 : i64, '
    'endpoint = {{serves = ["m"], url = "u"}}}} : () -> ()'
)
LINK = (
    '"agent.link"() {{left = "{0}", right = "*", both_ways = true, bandwidth = {1}, latency = 1.0e-5 : f64}} : () -> ()'
)
GOAL = '"agent.goal"() {{pipeline = "p", terms = [{0}], assume = [{1}]}}'
TOOL = (
    '"agent.tool"() {{name = "t", parameters = {0}, result = !agent.text, entry = "python:call", effects = {1}, {2}}}'
)
GIVEN = (
    '"agent.test"() ({{ %0 = "agent.constant"() {{value = 1 : i64, id = "t.c"}} : () -> !agent.int '
    '"agent.given"(%0) {{name = "order", parameters = {0}, id = "t.given", '
    f"operandSegmentSizes = array<i32: {', '.join(['1', *['0'] * (MOST_OPERANDS - 1)])}>}}}} : (!agent.int) -> () "
    '"agent.return"() {{id = "t.return"}} : () -> () }}) {{name = "t"}}'
)
EMPTY = PIPELINE.format("", "", "", "parameters = [], result = !agent.none")
DECLARATIONS = [
    (HANDLE.format("h", "model", "a:b"), None),
    (HANDLE.format("h", "tool", "a:b"), "is a model, resource, memory or server, not a 'tool'"),
    (HANDLE.format("h", "model", "ab"), "has an entry 'ab'"),
    ('"agent.record"() {name = "R", fields = [{name = "a", type = !agent.text}]}', None),
    ('"agent.record"() {name = "R", fields = [{name = "a"}]}', "has a field that is not a name and a type"),
    ('"agent.record"() {name = "R", fields = [{name = "a", type = i64}]}', "has something foreign"),
    ('"agent.enum"() {name = "E", cases = [{name = "A", payload = []}]}', None),
    (
        '"agent.enum"() {name = "E", cases = [{name = "A", payload = []}, {name = "A", payload = []}]}',
        "has a case twice",
    ),
    (TOOL.format('[{name = "id", type = !agent.int}]', '["network"]', 'idempotent_by = "id"'), None),
    (TOOL.format('[{name = "id"}]', "[]", 'doc = ""'), "has a parameter that is not a name and a type"),
    (TOOL.format("[]", '["eats"]', 'doc = ""'), "has an effect 'eats'"),
    (TOOL.format("[]", "[]", 'idempotent_by = "id"'), "is idempotent by 'id', which is no parameter of it"),
    ('"agent.enum"() {name = "E", cases = [{name = "A"}]}', "has a case that is not a name and a payload"),
    (EMPTY, None),
    (PIPELINE.format("", "", "", "parameters = [], result = !agent.text"), "returns nothing, but its result is Text"),
    (
        PIPELINE.format("%a: !agent.int", "%a", "!agent.int", parameter("required = true", "text")),
        "returns Int, but its result is Text",
    ),
    (
        PIPELINE.format("%a: !agent.int", "", "", "parameters = [], result = !agent.none"),
        "has 0 parameters, but a body that takes Int",
    ),
    (
        PIPELINE.format("", "", "", parameter("required = true, default = 1")),
        "that is required and has a default, or neither",
    ),
    (
        PIPELINE.format("", "", "", parameter('required = false, default = "x"')),
        "has a default for 'a' that is no Int",
    ),
    ('"agent.test"() ({ "agent.return"() {id = "t.return"} : () -> () }) {name = "t"}', None),
    ('"agent.test"() ({ "agent.return"() {id = "t.return"} : () -> () }) {name = ""}', "has no name"),
    ('"agent.test"() ({}) {name = "t"}', "has no body"),
    (GIVEN.format("[]"), None),
    (GIVEN.format('["id"]'), "has 1 operands but 1 parameter names"),
    ('"agent.test"() ({ "agent.yield"() {id = "t"} : () -> () }) {name = "t"}', "belongs in agent.map or agent.if or"),
    (f"{EMPTY} : () -> () " + GOAL.format('{kind = "rate", limit = 1.0, unit = "Rate"}', ""), None),
    (GOAL.format('{limit = 1.0, unit = "Rate"}', ""), "has a term without a kind"),
    (GOAL.format('{kind = "finish", limit = 1.0}', ""), "has a limit without its unit"),
    (GOAL.format('{kind = "finish", percentile = 101.0}', ""), "has a percentile 101.0"),
    (GOAL.format("", '{name = "x"}'), "assumes something that is not a name, a value and a unit"),
    (FLEET.format(TIER.format("a", 0, 1) + LINK.format("a", "1.0e9 : f64")), None),
    (FLEET.format(TIER.format("a", 2, 1)), "has a count 2..1"),
    (FLEET.format(ENDPOINT.format("")), None),
    (FLEET.format(ENDPOINT.format("laptop")), "has a device and an endpoint, or neither"),
    (FLEET.format(TIER.format("a", 0, 1) + TIER.format("a", 0, 1)), "has a tier twice"),
    (FLEET.format(TIER.format("a", 0, 1) + LINK.format("b", "1.0e9 : f64")), "links 'b', which is no tier of it"),
    (FLEET.format(TIER.format("a", 0, 1) + LINK.format("a", "true")), "has a bandwidth that is no amount"),
    (
        FLEET.format(HANDLE.format("h", "model", "a:b") + " : () -> ()"),
        "stands in agent.fleet, but belongs in builtin.module",
    ),
]


@pytest.mark.parametrize(("operation", "title"), DECLARATIONS, ids=[title or "good" for _, title in DECLARATIONS])
def test_declarations(operation: str, title: str | None) -> None:
    found = declared(operation)
    assert found == [] if title is None else any(title in each for each in found), found


SHAPES = [
    ('"agent.handle"() {name = "x"}', "lacks the attribute 'keyword'"),
    ('"agent.pipeline"() {name = "p", parameters = [], result = !agent.none}', "has 0 regions, and takes 1"),
    ('"agent.fleet"() ({ ^bb0: }, { ^bb1: }) {name = "f"}', "has 2 regions, and takes 1"),
    ('"agent.test"() ({ ^bb0: "cf.br"()[^bb1] : () -> () ^bb1: "cf.br"()[^bb0] : () -> () }) {name = "t"}', ""),
]


@pytest.mark.parametrize(("operation", "title"), SHAPES)
def test_shapes(operation: str, title: str) -> None:
    found = declared(operation)
    assert any(title in each for each in found), found


@pytest.mark.parametrize("operation", [
    "%a = agent.length() -> int", "%a = agent.length(%text, %text) -> int", "agent.length(%text)",
    "%a = agent.emit(%text) -> text", "%a = agent.constant(%text) {value = 1} -> int", "agent.expect()",
])  # fmt: skip
def test_counts(operation: str) -> None:
    found = titles(module(operation))
    assert any(", and takes " in each for each in found), found


def test_every_operation_has_a_document_with_an_example() -> None:
    for name, spec in OPERATIONS.items():
        assert f'"agent.{name}"' in spec.doc, name


def test_every_operation_is_tried() -> None:
    """A new operation needs an example here that verifies, and one that does not."""
    good = " ".join([*GOOD, *(text for text, title in [*BODIES, *DECLARATIONS] if title is None)])
    bad = " ".join(
        [*(text for text, _ in BAD), *(text for text, title in [*BODIES, *DECLARATIONS] if title is not None)]
    )
    tried = {"call"}  # Laws say most of it: see test_ir_passes.
    tried |= {"agent"}  # See test_ir_agents.
    tried |= {"send", "receive", "watch", "halt", "over", "channel", "island"}  # See test_ir_placed.
    tried |= {
        name for name, spec in OPERATIONS.items() if spec.verify.__module__.endswith(".parallel")
    }  # test_split_parallel
    for name in set(OPERATIONS) - tried:
        assert re.search(rf"agent\.{name}\b", good), f"no example of agent.{name} that verifies"
        assert re.search(rf"agent\.{name}\b", bad), f"no example of agent.{name} that does not"


# --- types -----------------------------------------------------------------------------------------------------------

ALL_TYPES: list[ValueType] = [
    *(Primitive(name) for name in PRIMITIVES),
    NONE,
    *(made(TEXT) for made in (ListType, MapType, OptionType, StreamType, TurnType)),
    *(made("a.B") for made in (RecordType, EnumType, HandleType)),
    KvType("m"),
    SamplerType("m"),
    TokensType("m"),
    TensorType("f32", (3, 4)),
    TensorType("bf16", ()),
    ListType(OptionType(StreamType(RecordType('odd "name"')))),
]


def test_types_come_back() -> None:
    assert [from_mlir(to_mlir(given)) for given in ALL_TYPES] == ALL_TYPES
    assert len({str(to_mlir(given)) for given in ALL_TYPES}) == len(ALL_TYPES)


@pytest.mark.parametrize(
    ("given", "wanted", "answer"),
    [
        (INT, FLOAT, True),
        (FLOAT, INT, False),
        (TEXT, OptionType(TEXT), True),
        (NONE, OptionType(TEXT), True),
        (OptionType(TEXT), TEXT, False),
        (ListType(INT), ListType(FLOAT), True),
        (ListType(NONE), ListType(TEXT), True),
        (StreamType(TEXT), TEXT, False),
        (TEXT, JSON, True),
        (RecordType("A"), JSON, True),
        (StreamType(TEXT), JSON, False),
        (MapType(INT), MapType(FLOAT), True),
        (RecordType("A"), RecordType("B"), False),
    ],
)
def test_fits(given: ValueType, wanted: ValueType, answer: bool) -> None:
    assert fits(given, wanted) is answer


@pytest.mark.parametrize(
    ("value", "wanted", "answer"),
    [
        (True, INT, False),
        (1, BOOL, False),
        (1, FLOAT, True),
        (1.0, INT, False),
        (None, OptionType(INT), True),
        (None, INT, False),
        (("a", 1), ListType(TEXT), False),
        (1.5, Primitive("Money"), True),
        ("a", HandleType("h"), False),
    ],
)
def test_value_fits(value: object, wanted: ValueType, answer: bool) -> None:
    assert value_fits(value, wanted) is answer
