"""Promises about replies that a JSON Schema holds. That every schema is kept is tested elsewhere, with a judge of its
own; here is that schemas are kept at all, by their ends, their seeds and their refusals."""

from __future__ import annotations

import json
from typing import cast

from ....base.problems import OutsideError
from ..protocol import Engine, Finish, ModelSpec, Sampling
from .promises import loaded, promised, prompt_of, refuses, reply, sees_tokens

MAIL = json.dumps(
    {
        "type": "object",
        "properties": {
            "intent": {"enum": ["Refund", "Question"]},
            "orders": {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
            "sure": {"type": "boolean"},
        },
        "required": ["intent", "orders", "sure"],
        "additionalProperties": False,
    }
)


async def check_schema(engine: Engine, spec: ModelSpec) -> None:
    """A reply is a document of its schema and ends with it; it repeats with its seed. (How it is written is held to
    where tokens are seen.)"""
    async with loaded(engine, spec) as model:
        texts: list[str] = []
        for sampling in (
            Sampling(max_tokens=200, schema=MAIL),
            Sampling(max_tokens=200, schema=MAIL),
            *(Sampling(max_tokens=200, schema=MAIL, temperature=1.0, seed=seed) for seed in (1, 1, 2, 3, 4, 5)),
            Sampling(max_tokens=200, schema=MAIL, temperature=2.0, seed=3, top_k=3, top_p=0.9),
        ):
            pieces, running = await reply(model, sampling)
            text = "".join(pieces)
            promised(_is_mail(text, sees_tokens(model)), "a reply is a document of its schema", text)
            promised(running.finish is Finish.STOP, "a whole document ends as STOP", running.finish)
            texts.append(text)
        promised(texts[0] == texts[1] and texts[2] == texts[3], "documents repeat with their seed", texts)
        promised(len(set(texts)) > 2, "documents differ between seeds", texts)


def _is_mail(text: str, as_written: bool) -> bool:
    try:
        read = cast("object", json.loads(text))
    except ValueError:
        return False
    if not isinstance(read, dict):
        return False
    mail = cast("dict[str, object]", read)
    orders = mail.get("orders")
    return (
        list(mail) == ["intent", "orders", "sure"]
        and mail["intent"] in ("Refund", "Question")
        and isinstance(orders, list)
        and len(cast("list[object]", orders)) <= 3
        and all(type(order) is int for order in cast("list[object]", orders))
        and isinstance(mail["sure"], bool)
        and (text == json.dumps(mail, ensure_ascii=False) or not as_written)
    )


async def check_schema_cut_short(engine: Engine, spec: ModelSpec) -> None:
    """A document that does not fit ends as any other reply does: by its tokens, or by the context. (Where tokens are
    seen.)"""
    async with loaded(engine, spec, context=64) as model:
        if not sees_tokens(model):
            return
        schema = json.dumps({"type": "array", "items": {"type": "boolean"}, "minItems": 40})
        for most, tokens, finish in ((3, 3, Finish.LENGTH), (64, 14, Finish.TRUNCATED)):
            sequence = await model.prefill(tuple(range(5, 5 + 50)))
            made = [token async for token in model.decode(sequence, Sampling(max_tokens=most, schema=schema))]
            seen = (len(made), sequence.finish)
            promised(seen == (tokens, finish), "a document that does not fit says so", seen)
            await model.release(sequence)
        sequence = await model.prefill((5, 6, 7))
        exact = Sampling(max_tokens=4, schema=json.dumps({"const": True}))
        made = [token async for token in model.decode(sequence, exact)]
        detokenizer = model.detokenizer()
        promised("".join(map(detokenizer.push, made)) == "true", "a document of four bytes fits", made)
        promised(sequence.finish is Finish.STOP, "it ends as STOP with its last token", sequence.finish)
        await model.release(sequence)


async def check_schema_refused(engine: Engine, spec: ModelSpec) -> None:
    """A schema that is not understood is refused by name before anything is made; the sequence is still there."""
    async with loaded(engine, spec) as model:
        sequence = await model.prefill(await prompt_of(model, (5, 6, 7)))
        with refuses(OutsideError, "a schema with a pattern") as caught:
            model.decode(sequence, Sampling(schema=json.dumps({"type": "string", "pattern": "a"})))
        error = caught.error
        slug = error.problem.slug if isinstance(error, OutsideError) else ""
        promised(slug == "schema-unsupported", "the refusal has its name", slug)
        promised("#/pattern" in str(error), "the refusal names the place", str(error))
        made = [token async for token in model.decode(sequence, Sampling(max_tokens=2))]
        promised(len(made) == 2, "the sequence is still there", made)
        await model.release(sequence)
