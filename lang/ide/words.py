"""Words of the language that no file declares, with a line about each, for completion and hover."""

from __future__ import annotations

from ..checker.fallbacks import REASONS as _REASONS
from ..types import PRIMITIVES

# How each is called, and what it does.
BUILTINS: dict[str, tuple[str, str]] = {
    "all": ("all(stream: stream T) -> [T]", "The whole of a stream: one Text of a stream of Text, else a list."),
    "buffered": (
        "buffered(stream: stream T) -> stream T",
        "Holds the items of a stream back until it has ended, so that a failure can still be mended.",
    ),
    "declassify": ("declassify(value: T) -> T", "The same value without its labels."),
    "len": ("len(of: [T]) -> Int", "How many items a list or map has, or code points a Text."),
    "secret": ('secret("NAME") -> Secret', "A secret by its name; read where it is used, and never shown."),
    "python": ('python("module:function")', "A function of the program's folder, behind a tool or stage."),
    "builtin": ('builtin("kind:name")', "What the library's own stages stand on."),
    "endpoint": ('endpoint("https://…")', "Models that somebody else serves, as a tier of a fleet."),
    "catalog": ("catalog.DEVICE", "The devices that a tier can be made of."),
}

TYPES: dict[str, str] = {
    "Text": "A text in Unicode.",
    "Int": "A whole number of 64 bits.",
    "Float": "A number with a fraction.",
    "Bool": "`true` or `false`.",
    "Bytes": "Raw bytes.",
    "Json": "Any JSON value; it becomes a record by `as`, which can fail.",
    "Audio": "Sound.",
    "Secret": "A secret, by its name; it has no text form.",
    "Duration": "A time: `250 ms`, `2 h`.",
    "Money": "An amount of money: `$0.40`.",
    "Bytesize": "A size of memory: `80 GiB`.",
    "Bandwidth": "Bytes per time: `200 Gbit/s`.",
    "Rate": "How often: `4 per s`.",
    "Energy": "`2 Wh`, `5 kJ`.",
    "Power": "`700 W`.",
    "Tokens": "A length in tokens: `8_000 tokens`.",
    "Message": "One message of a conversation: `type Message { role: Role, text: Text }`.",
    "Role": "Who said a message: `enum Role { System, User, Assistant, Tool }`.",
    "Tensor": "An array of numbers: `Tensor[f32, 384]`.",
}
# The types that a file may write where data stands.
DATA_TYPES = (*(name for name in PRIMITIVES if name != "Secret"), "Message", "Role")

REASONS: dict[str, str] = dict.fromkeys(_REASONS, "") | {
    "timeout": "It took longer than it may.",
    "denied": "A person said no, or it is not allowed.",
    "truncated": "The answer ended before it was whole.",
    "refused": "The model or service would not answer.",
    "unreachable": "The service cannot be reached.",
    "bad_output": "What came back is not of the type that is declared.",
    "bad_value": "A value does not fit: an index outside of a list, a conversion that cannot be.",
    "tool_error": "The tool raised, or ended with an error.",
    "too_long": "The prompt is longer than the model can read.",
    "unavailable": "Too many calls failed in a row; its circuit breaker is open.",
    "interrupted": "A newer input took its place.",
    "crashed": "The process that ran it is gone.",
    "expectation": "What was expected does not hold.",
    "out_of_memory": "It needs more memory than there is.",
    "may_have_acted": "The run was cut off while it acted, and it is not done twice.",
}

POLICIES: dict[str, tuple[str, str]] = {
    "timeout": ("timeout ${1:2 s}", "the longest one attempt may take"),
    "idle": ("idle ${1:2 s}", "the longest time between two items of a stream"),
    "retry": ("retry ${1:1}", "attempts beyond the first"),
    "breaker": ("breaker ${1:5} pause ${2:30 s}", "after failures in a row, calls fail at once for a while"),
    "hedge": ("hedge after ${1:300 ms}", "a second attempt starts beside a slow one"),
    "rate": ("rate ${1:4 per s}", "the most calls in a time"),
    "cache": ("cache ${1:1 h}", "how long an answer is kept"),
    "buffer": ("buffer ${1:64}", "the items of a stream that may wait"),
    "place": ("place on ${1:tier}", "where it runs"),
    "approve": ('approve "${1:question}"', "a person is asked first"),
}

GOAL_TERMS: dict[str, tuple[str, str]] = {
    "rate": ("rate ${1:4 per s}", "arrivals that the plan must carry"),
    "assume": ("assume {\n  $0\n}", "the work that one run brings"),
    "first_token": ("first_token p95 <= ${1:800 ms}", "the time to the first token"),
    "first_item": ("first_item p95 <= ${1:800 ms}", "the time to the first item"),
    "token_gap": ("token_gap p95 <= ${1:60 ms}", "the time between two tokens"),
    "finish": ("finish p95 <= ${1:6 s}", "the time of the whole run"),
    "cost": ("cost <= ${1:$0.40 per 1000 runs}".replace("$0.40", "\\$0.40"), "what a run may cost"),
    "energy": ("energy <= ${1:2 Wh per run}", "the energy of a run"),
    "keep": ("keep @${1:label} on [${2:tier}]", "where a label may be"),
    "soft": ("soft ${1:finish} ${2:10}", "a limit that may be missed, and what a miss weighs"),
    "prefer": ("prefer ${1:cheapest}", "what is best where several plans keep the goal"),
}
METRICS = ("first_token", "first_item", "token_gap", "finish", "cost", "energy")
AIMS = ("cheapest", "fastest", "greenest")
PERCENTILES = ("p50", "p95", "p99")

TIER_SETTINGS: dict[str, tuple[str, str]] = {
    "count": ("count ${1:1}", "how many devices, or `0..8` to let the planner choose"),
    "price": ("price ${1:1.80 per h}", "what it costs"),
    "serves": ('serves ["${1:model}"]', "the models that an endpoint serves"),
    "first_token": ("first_token ${1:400 ms}", "the time to an endpoint's first token"),
    "rate": ("rate ${1:20 per s}", "tokens per time of one call"),
}

EFFECTS: dict[str, tuple[str, str]] = {
    "reads": ('reads "${1:what}"', "it looks at something of the world"),
    "writes": ('writes "${1:what}"', "it changes something; dangerous"),
    "spends": ("spends ${1:\\$0.10}", "the most that one call costs; dangerous"),
    "network": ("network", "it reaches other machines"),
    "process": ("process", "it runs other programs; dangerous"),
}
NEEDS: dict[str, tuple[str, str]] = {
    "cpu": ("cpu ${1:2 ms}", "the time that one call takes"),
    "memory": ("memory ${1:10 MiB}", "the memory that one call takes"),
}

# What starts each declaration, as a snippet.
DECLARATIONS: dict[str, tuple[str, str]] = {
    "use": ("use ${1:std/llm}", "an import"),
    "type": ("type ${1:Name} {\n  ${2:field}: ${3:Text}\n}", "a record"),
    "enum": ("enum ${1:Name} {\n  ${2:Case}\n}", "one of several cases"),
    "let": ("let ${1:name} = ${2:value}", "a constant"),
    "model": ('model ${1:writer} = llm.chat("${2:smollm2-135m-instruct}")', "a language model"),
    "resource": ("resource ${1:name} = ${2:search.index}(${3})", "built when first needed, and kept"),
    "memory": ("memory ${1:notes} = memory.session(limit: ${2:8_000 tokens})", "what was said, for each session"),
    "server": ('server ${1:name} = mcp.stdio(["${2:command}"])', "a server of tools"),
    "tool": (
        'tool ${1:name}(${2:id: Int}) -> ${3:Text} = python("${4:module:function}") effects [${5}]',
        "what a program may do to the world",
    ),
    "stage": ('stage ${1:name}(${2:raw: Text}) -> ${3:Text} = python("${4:module:function}")', "Python of its own"),
    "pipeline": ("pipeline ${1:name}(${2:question: Text}) -> ${3:Text} {\n  $0\n}", "what is computed"),
    "agent": (
        "agent ${1:name}(${2:question: Text}) -> ${3:Text} {\n  model ${4:writer}\n  tools [${5}]\n"
        '  at most ${6:6} steps\n  system "${7}"\n}',
        "a model with tools and a bound",
    ),
    "goal": ("goal ${1:pipeline} {\n  finish p95 <= ${2:6 s}\n}", "what a pipeline must promise"),
    "fleet": ("fleet ${1:name} {\n  tier ${2:cpu} = catalog.${3:laptop}\n}", "what it may run on"),
    "test": ('test "${1:what must hold}" {\n  expect ${0}\n}', "what must hold"),
}
