"""The words for what can go wrong with a model on an engine."""

from __future__ import annotations

from ...base.problems import OutsideError, Problem


def model_does_not_load(name: str, why: str, detail: str | None = None, hint: str | None = None) -> Problem:
    return Problem(
        "model-does-not-load",
        f"model {name!r} does not load: {why}",
        hint=hint
        or f"`agentlang models remove {name}` and `agentlang models pull {name}` fetch it again, or choose another",
        detail=detail,
    )


def prompt_too_long(name: str, tokens: int, limit: int) -> Problem:
    return Problem(
        "prompt-too-long",
        f"the prompt has {tokens:,} tokens, {tokens - limit:,} more than the {limit:,} that {name!r} takes",
        hint="shorten what goes into the prompt, or choose a model with a larger context; nothing is cut silently",
    )


def schema_unsupported(place: str, why: str) -> Problem:
    """`place` is a JSON pointer into the schema, or empty for the whole of it."""
    return Problem(
        "schema-unsupported",
        f"the schema's {place} {why}" if place else f"the schema {why}",
        hint="a reply can be held to objects of declared fields, maps, arrays, texts, numbers, choices and references",
    )


class PromptTooLong(OutsideError):
    """No token would fit behind a prompt of `tokens`; `limit` would."""

    reason = "too_long"

    def __init__(self, name: str, tokens: int, limit: int) -> None:
        super().__init__(prompt_too_long(name, tokens, limit))
        self.tokens = tokens
        self.limit = limit
