"""Replies of real and tiny models held to schemas: valid, or named as unfinished, and never anything else."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import anyio
import numpy as np
import pytest
from json_schemas import complaints, random_schema

from agentlang.base import paths
from agentlang.executor.engines.constraint.masks import Masks
from agentlang.executor.engines.generation import generate
from agentlang.executor.engines.protocol import ChatModelSource, Finish, Message, ModelSpec, Sampling
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.engines.xla.paged.model import PagedModel
from agentlang.stdlib.models import open_chat
from agentlang.stdlib.models.tiny import TinyLlama

NAME = "smollm2-135m-instruct"
SCHEMAS = 1000


def real() -> ChatModelSource:
    path = next((paths.models_home() / NAME).glob("*.gguf"), None)
    if path is None:
        pytest.skip(f"{NAME} is not here; `agentlang models pull {NAME}` fetches it")
    return open_chat(path, NAME)


class Completed:
    """Ends an unfinished document with tokens drawn at random, as the masks allow them: what the model has made so far
    is right only if there is a valid document that begins so."""

    def __init__(self, source: ChatModelSource) -> None:
        self._tokenizer = source.tokenizer()
        self._vocabulary = source.facts().vocabulary
        self._masks = Masks(self._tokenizer, self._vocabulary)

    def text(self, tokens: list[int], schema: str, seed: int, most: int = 600) -> str | None:
        """The whole document, or None if it did not come to an end."""
        constraint, made, draw = self._masks.constraint(schema), list(tokens), random.Random(seed)
        for token in tokens:
            assert constraint.take(token)
        while not constraint.complete:
            bits = np.unpackbits(constraint.mask().view(np.uint8), bitorder="little")
            allowed = np.flatnonzero(bits[: self._vocabulary]).tolist()
            closing = [token for token in allowed if self._tokenizer.token_bytes(token)[-1:] in b'"]}']
            token = draw.choice(closing if closing and draw.random() < 0.7 else allowed)
            if token in self._tokenizer.end_tokens:
                break
            if len(made) >= most:
                return None
            if constraint.take(token):
                made.append(token)
        return b"".join(map(self._tokenizer.token_bytes, made)).decode()


async def held(model: PagedModel, source: ChatModelSource, count: int, most: int) -> Counter[Any]:
    """Each of `count` random schemas once, drawn at temperature 1, as many at once as share a step. How the replies
    ended."""
    completed, ends = Completed(source), Counter[Any]()
    prompt = source.tokenizer().encode("A document in JSON:\n")
    numbers = iter(range(count))

    async def some() -> None:
        for number in numbers:
            schema = random_schema(random.Random(number))
            sequence = await model.prefill(prompt)
            sampling = Sampling(max_tokens=most, temperature=1.0, seed=number, schema=schema)
            tokens = [token async for token in model.decode(sequence, sampling)]
            await model.release(sequence)
            ends[sequence.finish] += 1
            whole = sequence.finish is Finish.STOP
            assert whole or (sequence.finish is Finish.LENGTH and len(tokens) == most)
            text = source.tokenizer().decode(tokens) if whole else completed.text(tokens, schema, number)
            ends["unfinished"] += text is None
            assert text is None or complaints(text, schema) == [], (number, schema, text)

    async with anyio.create_task_group() as group:
        for _ in range(16):
            group.start_soon(some)
    return ends


async def ends_of(source: ChatModelSource, count: int, most: int) -> Counter[Any]:
    model = await XlaEngine().load(ModelSpec("held", source))
    try:
        return await held(model, source, count, most)
    finally:
        await model.close()


@pytest.mark.slow
def test_a_thousand_random_schemas_on_a_tiny_model_never_give_an_invalid_document() -> None:
    """Its tokens are bytes and its replies noise, so it goes where no trained model would."""
    ends = anyio.run(ends_of, TinyLlama(seed=1), SCHEMAS, 96)
    assert ends[Finish.STOP] > SCHEMAS // 2
    assert ends["unfinished"] < SCHEMAS // 50


@pytest.mark.slow
@pytest.mark.models
def test_a_thousand_random_schemas_on_a_real_model_never_give_an_invalid_document() -> None:
    ends = anyio.run(ends_of, real(), SCHEMAS, 24)
    assert ends[Finish.STOP] > SCHEMAS // 5
    assert ends["unfinished"] < SCHEMAS // 20


@pytest.mark.models
def test_random_schemas_on_a_real_model_never_give_an_invalid_document() -> None:
    ends = anyio.run(ends_of, real(), 16, 24)
    assert ends[Finish.STOP] >= 4


def _case(name: str, **fields: str) -> dict[str, Any]:
    payload = {
        "type": "object",
        "properties": {field: {"type": kind} for field, kind in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }
    return {"type": "object", "properties": {name: payload}, "required": [name], "additionalProperties": False}


INTENT = json.dumps(
    {
        "anyOf": [
            _case("Refund", order="integer", amount="number"),
            _case("Question", topic="string"),
            {"enum": ["Spam", "Other"]},
        ]
    }
)
REFUND = json.dumps(_case("Refund", order="integer", amount="number"))
MAILS = (
    "Please give me back the $25.50 for order 4711, it came broken.",
    "How long does shipping to Norway take?",
    "BUY CHEAP WATCHES NOW!!!",
    "Thanks!",
)


@pytest.mark.models
def test_what_does_this_mail_want() -> None:
    source = real()

    async def asked(model: PagedModel, mail: str, schema: str, temperature: float = 0.0) -> str:
        ask = [Message("user", f"What does this mail want? Answer in JSON.\n{mail}")]
        async with generate(model, ask, Sampling(max_tokens=60, schema=schema, temperature=temperature)) as reply:
            text = "".join([piece async for piece in reply])
        assert reply.finish is Finish.STOP
        assert complaints(text, schema) == []
        return text

    async def main() -> None:
        model = await XlaEngine().load(ModelSpec(NAME, source))
        answers = {await asked(model, mail, INTENT, temperature) for mail in MAILS for temperature in (0.0, 1.5)}
        assert len(answers) > 1
        # What the mail says is found, not made up, once the form is not the model's to choose.
        assert json.loads(await asked(model, MAILS[0], REFUND)) == {"Refund": {"order": 4711, "amount": 25.5}}
        await model.close()

    anyio.run(main)
