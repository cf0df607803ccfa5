"""Declarations: models, tools, servers, enums, agents, imported files."""

from __future__ import annotations

from ...base.problems import Edit, Fix, Problem, Related
from ...base.source import Span
from ..types import Type


def not_constant(what: str, span: Span) -> Problem:
    return Problem(
        "not-constant",
        f"{what} must be known before the program runs",
        span,
        hint="write the value out, or name a constant of the file; calls and parameters are known in a run alone",
    )


def not_a_handle(keyword: str, name: str, span: Span, actual: str) -> Problem:
    example = {"model": "llm.chat(…)", "memory": "memory.session()", "server": 'mcp.stdio(["…"])'}.get(keyword)
    example = example or "search.index(…)"
    return Problem(
        "not-a-handle",
        f"{keyword} `{name}` must be built by a stage of the library, but this is {actual}",
        span,
        hint=f"write for example `{keyword} {name} = {example}`; a plain constant is declared with `let`",
    )


def handle_not_declared(stage: str, result: Type, span: Span) -> Problem:
    keyword = _KEYWORDS.get(str(result), "model")
    also = " (or `resource`)" if keyword == "model" else ""
    hint = f"write `{keyword} NAME = {stage}(…)`{also} outside the pipeline, and use NAME here"
    if keyword == "tool":
        hint = f"write `tool NAME(…) -> … = {stage}(…) effects [{_EFFECTS[str(result)]}]` outside, and call NAME here"
    return Problem(
        "handle-not-declared",
        f"`{stage}` builds a {result}, which must be declared at the top of the file",
        span,
        hint=hint,
    )


def wrong_keyword(keyword: str, name: str, type: Type, word: Span, span: Span) -> Problem:
    """A handle declared as what its type is not; `word` is the keyword."""
    right = _KEYWORDS.get(str(type), "model")
    fix = Fix(f"write `{right}`", (Edit(word, right),)) if right != "tool" else None
    hint = f"write `{right} {name} = …`" if fix else "only a tool stands on one: `tool NAME(…) -> … = …`"
    related = (Related(word, f"declared as a {keyword} here"),)
    title = f"`{name}` is declared as a {keyword}, but this builds `{type}`"
    return Problem("wrong-keyword", title, span, hint=hint, related=related, fix=fix)


# What handles of these types are declared as; of all others, models and resources.
_KEYWORDS = {
    "memory.Session": "memory",
    "mcp.Server": "server",
    "http.Request": "tool",
    "process.Command": "tool",
}
_EFFECTS = {"http.Request": "network", "process.Command": "process"}


# --- tools -----------------------------------------------------------------------------------------------------------


def bad_implementation(owner: str, span: Span, stage: bool = False) -> Problem:
    """`owner` is "tool `x`" or "stage `x`"."""
    hint = 'write `= python("module:function")`'
    more = "" if stage else ", `= http.get(…)`, `= process.run([…])`, or the call of a declared `server`"
    return Problem("bad-implementation", f"nothing can run {owner} as it is written", span, hint=hint + more)


def bad_target(text: str, span: Span) -> Problem:
    return Problem(
        "bad-target",
        f'"{text}" names no function of Python',
        span,
        hint='write the module and the function, as in `python("shop:order")` for `order` in `shop.py`',
    )


def tool_hole(span: Span) -> Problem:
    return Problem(
        "tool-hole",
        "a hole in what stands behind a tool holds something that is worked out",
        span,
        hint="name a parameter of the tool, or a text constant; work the value out before the call",
    )


def bad_secret(title: str, span: Span, hint: str) -> Problem:
    return Problem("bad-secret", title, span, hint=hint)


def bad_effect(title: str, span: Span, hint: str, first: Span | None = None, fix: Fix | None = None) -> Problem:
    related = (Related(first, "first stated here"),) if first else ()
    return Problem("bad-effect", title, span, hint=hint, related=related, fix=fix)


def unstated_effect(tool: str, effect: str, behind: str, span: Span, fix: Fix) -> Problem:
    does = "reaches the network" if effect == "network" else "starts a process"
    return Problem(
        "unstated-effect",
        f"tool `{tool}` {does} (`{behind}`) and does not say so",
        span,
        hint=f"add `{effect}` to its effects",
        fix=fix,
    )


# --- imported files --------------------------------------------------------------------------------------------------


def import_not_found(module: str, span: Span) -> Problem:
    return Problem(
        "import-not-found",
        f"there is no file for `{module}`",
        span,
        hint=f"an import is a path from the file it stands in, without its ending: `{module}.agent` must lie there",
    )


def import_outside(module: str, span: Span | None = None) -> Problem:
    """For whoever finds the files: `module` leads out of the folder of the program, so it is not looked for."""
    return Problem(
        "import-outside",
        f"`{module}` lies outside the folder of the program",
        span,
        hint="keep what a program imports in the folder of the file that is checked, or below it",
    )


def import_cycle(module: str, span: Span, related: tuple[Related, ...]) -> Problem:
    return Problem(
        "import-cycle",
        f"`{module}` is the file itself"
        if not related
        else f"`{module}` imports this file, directly or through another",
        span,
        hint="move what both need into a third file, and import that",
        related=related,
    )


# --- agents ----------------------------------------------------------------------------------------------------------


def agent_incomplete(name: str, missing: tuple[str, ...], span: Span) -> Problem:
    """`missing` are entries, with marks where they are code."""
    return Problem(
        "agent-incomplete",
        f"agent `{name}` lacks {' and '.join(missing)}",
        span,
        hint="an agent has a model, tools, and a bound: `model NAME`, `tools [NAME]`, `at most N steps`",
    )


def not_a_tool(name: str, what: str, agent: str, span: Span) -> Problem:
    return Problem(
        "not-a-tool",
        f"`{name}` is {what}, which agent `{agent}` cannot use as a tool",
        span,
        hint="name a `tool`, a pipeline or another agent",
    )


# --- types -----------------------------------------------------------------------------------------------------------


def endless_type(name: str, span: Span, through: tuple[str, ...], related: tuple[Related, ...]) -> Problem:
    """`through` are the types by which it holds itself, if not directly."""
    by = f" (through {', '.join(f'`{part}`' for part in through)})" if through else ""
    return Problem(
        "endless-type",
        f"a value of `{name}` would hold a value of `{name}`{by}, without end",
        span,
        hint="let a list, a map or an option (`T?`) stand between, which may be empty",
        related=related,
    )


def opaque_type(name: str, span: Span) -> Problem:
    return Problem(
        "opaque-type",
        f"type `{name}` has no fields",
        span,
        hint=f"write `type {name} {{ field: Type }}`; only libraries have types without",
    )
