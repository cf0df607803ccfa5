"""A real model with prefixes: the tokens of a reply are the same with a prefix and without, wherever its text ends, and
what is prefilled ahead covers nearly all that prompts have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import anyio
import pytest

from agentlang.base import paths
from agentlang.executor.engines.protocol import ChatModel, ModelSpec
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.kinds import Context, Usage
from agentlang.stdlib.kinds import llm
from agentlang.stdlib.models import open_chat

NAME = "smollm2-135m-instruct"
PATH = paths.models_home() / NAME / "SmolLM2-135M-Instruct.Q4_1.gguf"

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not PATH.is_file(), reason=f"{NAME} is not here; `agentlang models pull {NAME}` fetches it"),
]

PAGE = (
    "Receipts must be handed in within thirty days of the journey. The daily allowance for meals is 38 euros. Taxis "
    "are refunded after ten in the evening. Größere Beträge: 1.250,00 € — 👩‍👩‍👧‍👦 travel together. "
)
PROMPT = f"{PAGE}When are unbelievably expensive taxis refunded, and how?"
CUTS = (40, len(PAGE) - 1, len(PAGE), PROMPT.index("unbelievably") + 7, len(PROMPT) - 1, PAGE.index("👩") + 2)
"""Behind a word, before and behind a space, inside of words that are several tokens, inside of a family of signs."""


def context(**settings: Any) -> Context:
    return Context("p.chat", Usage(), settings=settings)


async def replied(model: ChatModel, tokens: object, prefix: object = None) -> tuple[list[int], Mapping[str, float]]:
    seen = context()
    given = {"self": model, "tokens": tokens} | ({} if prefix is None else {"prefix": prefix})
    kv = await llm.prefill(seen, given)
    made = llm.decode(context(), {"self": model, "kv": kv, "max_tokens": 12})
    return [token async for token in made], seen.usage.counts


async def ahead(model: ChatModel, prompt: object, system: str = "", prefix: object = None) -> tuple[Any, int]:
    seen = context(ahead=True)
    tokens = await llm.tokenize(seen, {"self": model, "prompt": prompt, "system": system})
    given = {"self": model, "tokens": tokens} | ({} if prefix is None else {"prefix": prefix})
    kv = await llm.prefill(seen, given)
    assert "tokens_in" not in seen.usage.counts
    return kv, len(tokens)


@pytest.fixture(scope="module")
def loaded() -> Iterator[Any]:
    """Runs a function with the model, in one event loop for all."""
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:
        model = cast(Any, portal.call(XlaEngine().load, ModelSpec(NAME, open_chat(PATH, NAME))))
        yield lambda check: portal.call(check, model)
        assert model.open_sequences == 0
        portal.call(model.close)


@pytest.mark.parametrize("cut", CUTS)
def test_the_reply_is_the_same_wherever_the_prefix_ends(loaded: Any, cut: int) -> None:
    async def check(model: ChatModel) -> None:
        tokens = await llm.tokenize(context(), {"self": model, "prompt": PROMPT})
        plain, _ = await replied(model, tokens)
        prefix, begun = await ahead(model, PROMPT[:cut])
        reply, counts = await replied(model, tokens, prefix)
        assert reply == plain
        # A token at the border may be another in the whole prompt; the others are used, and what else the engine has.
        assert begun - 2 <= counts["cached_tokens"] < len(cast("tuple[int, ...]", tokens))
        await prefix.release()

    loaded(check)


def test_one_prefix_behind_another_and_a_system_text_alone(loaded: Any) -> None:
    async def check(model: ChatModel) -> None:
        system = "You answer from the page alone, in one sentence, and say so where the page does not tell."
        tokens = await llm.tokenize(context(), {"self": model, "prompt": PROMPT, "system": system})
        plain, _ = await replied(model, tokens)
        first, begun = await ahead(model, (), system)
        second, more = await ahead(model, PAGE, system, first)
        assert 16 < begun < more
        for prefix, count in ((first, begun), (second, more)):
            reply, counts = await replied(model, tokens, prefix)
            assert reply == plain
            assert count - 2 <= counts["cached_tokens"] < len(tokens)
        turns = (
            {"role": "User", "text": PROMPT},
            {"role": "Assistant", "text": "At night."},
            {"role": "User", "text": "Why?"},
        )
        tokens = await llm.tokenize(context(), {"self": model, "prompt": turns, "system": system})
        plain, _ = await replied(model, tokens)
        reply, counts = await replied(model, tokens, second)
        assert (reply, counts["cached_tokens"] >= more - 2) == (plain, True)
        # Of another system text only the markup before it is the same.
        other = await llm.tokenize(context(), {"self": model, "prompt": PROMPT, "system": "Be brief."})
        reply, counts = await replied(model, other, second)
        assert counts["cached_tokens"] < 16
        assert reply == (await replied(model, other))[0]
        await first.release()
        await second.release()

    loaded(check)


def test_many_at_once_from_one_prefix(loaded: Any) -> None:
    async def check(model: ChatModel) -> None:
        asked = [
            f"{PAGE}Question {n}: what is said of {word}?" for n, word in enumerate(("taxis", "meals", "receipts"))
        ]
        prompts = [await llm.tokenize(context(), {"self": model, "prompt": each}) for each in asked]
        alone = [(await replied(model, each))[0] for each in prompts]
        prefix, _ = await ahead(model, PAGE)
        found: dict[int, list[int]] = {}

        async def one(number: int) -> None:
            found[number] = (await replied(model, prompts[number], prefix))[0]

        async with anyio.create_task_group() as group:
            for number in range(len(prompts)):
                group.start_soon(one, number)
        assert [found[number] for number in range(len(prompts))] == alone
        await prefix.release()

    loaded(check)
