"""The words for what is wrong with `agentlang.toml`. One function per slug."""

from __future__ import annotations

from ...base.problems import Problem
from ...base.source import Span


def not_toml(span: Span, reason: str) -> Problem:
    return Problem("settings-not-toml", f"{span.path} is not TOML: {reason}", span, hint="correct it there")


def unreadable(path: str, reason: str) -> Problem:
    return Problem("settings-unreadable", f"{path} cannot be read: {reason}", hint="check the file, or remove it")


def unknown_key(key: str, suggestion: str | None, known: tuple[str, ...], span: Span) -> Problem:
    hint = f"did you mean `{suggestion}`?" if suggestion else f"here may stand: {', '.join(known)}"
    return Problem("settings-unknown-key", f"there is no setting `{key}`", span, hint=hint)


def missing_key(table: str, key: str, span: Span) -> Problem:
    return Problem("settings-missing-key", f"`{table}` has no `{key}`", span, hint=f"add `{key} = …` to it")


def wrong_setting(key: str, wanted: str, kind: str, span: Span) -> Problem:
    words = {"str": "another text", "int": "a number", "float": "a number", "bool": "true or false", "list": "a list"}
    is_ = words.get(kind, "a table" if kind == "dict" else kind)
    return Problem("settings-wrong-value", f"`{key}` must be {wanted}, and is {is_}", span, hint=f"write {wanted}")


def unknown_profile(path: str, name: str, known: tuple[str, ...]) -> Problem:
    has = f"it has {', '.join(known)}" if known else f"it has none; add [profiles.{name}]"
    return Problem("settings-unknown-profile", f"{path} has no profile `{name}`", hint=has)


def secret_written_out(key: str, span: Span) -> Problem:
    hint = 'name it, as in { secret = "API_KEY" }, and keep its value in the environment'
    return Problem("settings-secret", f"`{key}` must name a secret, not hold one", span, hint=hint)
