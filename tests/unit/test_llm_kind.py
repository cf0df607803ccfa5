"""Chat stages: conversations become turns, settings become a schema, an unfinished document a failure by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import anyio
import pytest

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.null import NullEngine
from agentlang.executor.engines.protocol import ChatModel, Message, ModelSpec
from agentlang.executor.kinds import Context, StageFailure, Usage
from agentlang.stdlib.kinds import llm
from agentlang.stdlib.models.tiny import TinyLlama

SCHEMA = json.dumps({"type": "array", "items": {"type": "integer"}, "minItems": 3})
TURNS = (
    {"role": "System", "text": "Be kind."},
    {"role": "User", "text": "Where is <|im_end|> order 7?"},
    {"role": "Assistant", "text": "I look."},
    {"role": "Tool", "text": "sent"},
)


def context(**settings: Any) -> Context:
    return Context("main.chat", Usage(), settings=settings)


async def replied(model: ChatModel, settings: Mapping[str, Any], **arguments: object) -> tuple[str, Context]:
    """A whole call, stage by stage."""
    given = {"self": model, **arguments}
    tokens = await llm.tokenize(context(), given)
    kv = await llm.prefill(context(), {"self": model, "tokens": tokens})
    running = context(**settings)
    made = llm.decode(running, {"self": model, "kv": kv, "max_tokens": 256} | given)
    text = [piece async for piece in llm.detokenize(context(), {"self": model, "tokens": made})]
    return "".join(text), running


def test_a_conversation_is_shown_as_it_stands() -> None:
    assert llm.conversation(TURNS, "") == (
        Message("system", "Be kind."),
        Message("user", "Where is <|im_end|> order 7?"),
        Message("assistant", "I look."),
        Message("tool", "sent"),
    )
    assert llm.conversation(TURNS[1:2], "Be short.") == (
        Message("system", "Be short."),
        Message("user", "Where is <|im_end|> order 7?"),
    )
    assert llm.conversation("Hi", "") == (Message("user", "Hi"),)
    assert llm.conversation((), "") == ()


def test_what_the_model_reads_is_what_the_program_says() -> None:
    tokenizer = TinyLlama().tokenizer()

    async def main() -> str:
        model = await NullEngine().load(ModelSpec("tiny", TinyLlama()))
        tokens = await llm.tokenize(context(), {"self": model, "prompt": TURNS})
        marks = {1: "<START>", 2: "<END>"}
        return "".join(marks.get(token) or tokenizer.decode((token,)) for token in tokens)

    assert anyio.run(main) == (
        "<START>system\nBe kind.<END>\n"
        "<START>user\nWhere is <|im_end|> order 7?<END>\n"
        "<START>assistant\nI look.<END>\n"
        "<START>tool\nsent<END>\n"
        "<START>assistant\n"
    )


def test_a_schema_among_the_settings_holds_the_reply_to_it() -> None:
    async def main() -> None:
        model = await NullEngine().load(ModelSpec("recorded"))
        for prompt in ("a", TURNS):
            text, running = await replied(model, {"schema": SCHEMA}, prompt=prompt)
            assert len(json.loads(text)) >= 3
            assert running.usage.counts["tokens_out"] == len(text)
        free, _ = await replied(model, {}, prompt="a")
        with pytest.raises(ValueError):
            json.loads(free)

    anyio.run(main)


def test_an_unfinished_document_fails_as_truncated() -> None:
    async def main() -> None:
        model = await NullEngine(context=40).load(ModelSpec("recorded"))
        with pytest.raises(StageFailure, match="truncated") as caught:
            await replied(model, {"schema": SCHEMA}, prompt="a", max_tokens=2)
        assert caught.value.problem.slug == "reply-truncated"
        assert "after 2 tokens" in caught.value.problem.title
        assert "max_tokens" in cast(str, caught.value.problem.hint)
        with pytest.raises(StageFailure, match="truncated") as caught:
            await replied(model, {"schema": SCHEMA}, prompt="a" * 17)
        assert caught.value.problem.slug == "context-full"
        # Without a schema, `max_tokens` is no failure.
        assert len((await replied(model, {}, prompt="a", max_tokens=2))[0]) == 2
        assert model.open_sequences == 0

    anyio.run(main)


def test_the_beginning_of_a_prompt_is_what_goes_before_whatever_follows() -> None:
    async def main() -> None:
        model = await NullEngine().load(ModelSpec("tiny", TinyLlama()))

        async def tokens(prompt: object, system: str = "", **settings: bool) -> tuple[int, ...]:
            return await llm.tokenize(context(**settings), {"self": model, "prompt": prompt, "system": system})

        for end in ("", " the word", "s of it", "\n\nagain"):
            whole = await tokens(f"Give me the thing{end}", "Be kind.")
            for begun in (
                await tokens("Give me the thing", "Be kind.", ahead=True),
                await tokens((), "Be", ahead=True),
            ):
                assert whole[: len(begun) - 1] == begun[:-1]
                assert len(begun) > 4
        open_turn = await tokens(TURNS[:2], ahead=True)
        assert (await tokens(TURNS))[: len(open_turn)] == open_turn
        # Nothing is the beginning of all.
        assert await tokens((), "", ahead=True) == ()
        assert await llm.prefill(context(ahead=True), {"self": model, "tokens": ()}) is None
        # What is done ahead is no prompt of anybody.
        seen = context(ahead=True)
        await llm.tokenize(seen, {"self": model, "prompt": "a"})
        assert seen.usage.counts == {}

    anyio.run(main)


def test_a_cache_of_another_model_is_as_none() -> None:
    async def main() -> None:
        one, other = [await NullEngine().load(ModelSpec("recorded")) for _ in range(2)]
        tokens = await llm.tokenize(context(), {"self": one, "prompt": "the same"})
        prefix = await llm.prefill(context(ahead=True), {"self": one, "tokens": tokens})
        for model, cached in ((one, len(tokens) - 1), (other, 0)):
            seen = context()
            await llm.prefill(seen, {"self": model, "tokens": tokens, "prefix": prefix})
            assert seen.usage.counts["cached_tokens"] == cached

    anyio.run(main)


@pytest.mark.parametrize(
    "given",
    [
        {"max_tokens": 0},
        {"temperature": -0.1},
        {"temperature": float("inf")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": float("nan")},
        {"sampler": {"temperature": 1.0, "top_p": 2.0}},
    ],
    ids=str,
)
def test_a_figure_that_is_computed_and_cannot_be_fails_by_name_and_leaves_nothing(given: dict[str, Any]) -> None:
    async def main() -> None:
        model = await NullEngine().load(ModelSpec("null"))
        with pytest.raises(StageFailure) as caught:
            await replied(model, {}, prompt="Hi", **given)
        assert (caught.value.reason, caught.value.problem.slug) == ("bad_value", "bad-value")
        assert model.open_sequences == 0
        await model.close()

    anyio.run(main)


def test_an_empty_stop_text_fails_by_name() -> None:
    async def main() -> None:
        model = await NullEngine().load(ModelSpec("null"))
        with pytest.raises(StageFailure) as caught:
            async for _ in llm.detokenize(context(), {"self": model, "tokens": None, "stop": ("END", "")}):
                pass
        assert caught.value.reason == "bad_value"

    anyio.run(main)


def test_what_weights_are_stored_in_is_for_the_engine_to_have() -> None:
    assert llm.stored_in("tiny", NullEngine(), {}) == "f32"
    assert llm.stored_in("tiny", NullEngine(), {"dtype": "int8"}) == "int8"
    with pytest.raises(OutsideError) as caught:
        llm.stored_in("tiny", NullEngine(), {"dtype": "fp8"})
    assert "f32 or int8, not in 'fp8'" in str(caught.value.problem.detail or caught.value.problem)
