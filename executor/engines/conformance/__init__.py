"""What every engine promises, as checks that anyone may call on an engine of their own.

    await check_engine(MyEngine, ModelSpec("mine", source))

Each check stands for a promise of `protocol`, and a `PromiseBroken` says which one is not kept. They need a model whose
replies are longer than two dozen tokens and whose context has 256 positions at least; any text will do, so a tiny
random model serves best. Replies are compared token by token where the protocol says that they are the same.

Engines for other families (`families`) have their own: `check_embedding`, `check_scoring`, `check_recognising`,
`check_transcribing`, `check_synthesising`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..families import TextModelSpec
from ..protocol import Engine, ModelSpec
from ..speech.sources import TranscribingSpec, VoiceSpec
from . import flow, leaving, likelihoods, replies, schemas, speech, texts, together
from .promises import PromiseBroken

__all__ = [
    "CHECKS",
    "EMBEDDING_CHECKS",
    "RECOGNISING_CHECKS",
    "SCORING_CHECKS",
    "SYNTHESISING_CHECKS",
    "TRANSCRIBING_CHECKS",
    "Check",
    "PromiseBroken",
    "TextCheck",
    "check_embedding",
    "check_engine",
    "check_recognising",
    "check_scoring",
    "check_synthesising",
    "check_transcribing",
]

S = TypeVar("S")
Check = Callable[[Engine, ModelSpec], Awaitable[None]]
TextCheck = Callable[[Engine, TextModelSpec], Awaitable[None]]

CHECKS: tuple[Check, ...] = (
    replies.check_streams,
    replies.check_repeats,
    replies.check_length,
    replies.check_stop_texts,
    replies.check_characters,
    replies.check_prompt_too_long,
    replies.check_context_ends,
    replies.check_misuse,
    flow.check_back_pressure,
    flow.check_event_loop_runs,
    leaving.check_cancel,
    leaving.check_cancel_at_every_point,
    leaving.check_cancelled_task,
    leaving.check_left_alone,
    leaving.check_release_twice,
    leaving.check_close_while_running,
    together.check_two_at_once,
    together.check_many_at_once,
    together.check_prefix,
    together.check_prefix_of_a_reply,
    together.check_cache_moves,
    together.check_hundreds_at_once,
    schemas.check_schema,
    schemas.check_schema_cut_short,
    schemas.check_schema_refused,
    likelihoods.check_logprobs,
    likelihoods.check_logprobs_of_the_model,
)

EMBEDDING_CHECKS: tuple[TextCheck, ...] = (
    texts.check_vectors,
    texts.check_vectors_alone,
    texts.check_whole_text,
    texts.check_many_vectors,
    texts.check_same_key,
)
SCORING_CHECKS: tuple[TextCheck, ...] = (texts.check_scores, texts.check_score_order, texts.check_many_scores)
TRANSCRIBING_CHECKS: tuple[Callable[[Engine, TranscribingSpec], Awaitable[None]], ...] = (
    speech.check_segments,
    speech.check_pieces,
    speech.check_two_heard,
    speech.check_hearing_dropped,
)
SYNTHESISING_CHECKS: tuple[Callable[[Engine, VoiceSpec], Awaitable[None]], ...] = (
    speech.check_sound,
    speech.check_wordless,
    speech.check_only_text,
    speech.check_speaking_dropped,
)
RECOGNISING_CHECKS: tuple[TextCheck, ...] = (texts.check_entities,)


async def check_engine(make: Callable[[], Engine], spec: ModelSpec) -> None:
    """All checks, each on a fresh engine. Raises `PromiseBroken` at the first promise that is not kept.

    Call it in an event loop of asyncio and in one of trio: engines run under both.
    """
    await _check(CHECKS, make, spec)


async def check_embedding(make: Callable[[], Engine], spec: TextModelSpec) -> None:
    """As `check_engine`, of an engine that names `Operation.EMBED`."""
    await _check(EMBEDDING_CHECKS, make, spec)


async def check_scoring(make: Callable[[], Engine], spec: TextModelSpec) -> None:
    """As `check_engine`, of an engine that names `Operation.SCORE`. The model must know English: one check is that an
    answer scores higher than a text of another subject."""
    await _check(SCORING_CHECKS, make, spec)


async def check_recognising(make: Callable[[], Engine], spec: TextModelSpec) -> None:
    """As `check_engine`, of an engine that names `Operation.RECOGNISE`."""
    await _check(RECOGNISING_CHECKS, make, spec)


async def check_transcribing(make: Callable[[], Engine], spec: TranscribingSpec) -> None:
    """As `check_engine`, of an engine that names `Operation.TRANSCRIBE`. It is asked with noise, not with speech."""
    await _check(TRANSCRIBING_CHECKS, make, spec)


async def check_synthesising(make: Callable[[], Engine], spec: VoiceSpec) -> None:
    """As `check_engine`, of an engine that names `Operation.SYNTHESISE`, with a voice that speaks English."""
    await _check(SYNTHESISING_CHECKS, make, spec)


async def _check(
    checks: tuple[Callable[[Engine, S], Awaitable[None]], ...], make: Callable[[], Engine], spec: S
) -> None:
    for check in checks:
        try:
            await check(make(), spec)
        except PromiseBroken as broken:
            broken.add_note(f"found by {check.__name__}: {check.__doc__}")
            raise
