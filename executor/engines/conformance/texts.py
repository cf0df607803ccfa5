"""Promises of models that read texts and are no chat models: encoders, rerankers, recognisers.

Numbers are compared within `CLOSE` for parts of vectors and `CLOSE_SCORE` of the range of scores: what a text gives may
differ in its last digits by what shares its batch, and not more.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, cast

import anyio

from ..families import (
    EmbeddingEngine,
    EmbeddingModel,
    Operation,
    RecognisingEngine,
    RecognisingModel,
    ScoringEngine,
    ScoringModel,
    TextModelSpec,
)
from ..protocol import Engine
from .promises import at_once, opened, promised

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLOSE = 1e-4
CLOSE_SCORE = 1e-3
LONG = "The mountain railway runs every hour from the valley to the top. " * 45
TEXTS = (
    "You have 30 days from the day of delivery to return something.",
    "x",
    "",
    " \n\t",
    "Grüße, 你好 👋 — what is `x += 1`?",
    "A tent is pitched on level ground. " * 8,
    LONG,
    "You have 30 days from the day of delivery to return something.",
)
QUESTION = "How long do I have to return something?"


def embedding(engine: Engine, spec: TextModelSpec) -> AbstractAsyncContextManager[EmbeddingModel]:
    return opened(engine, Operation.EMBED, lambda: cast(EmbeddingEngine, engine).load_embedding(spec))


def scoring(engine: Engine, spec: TextModelSpec) -> AbstractAsyncContextManager[ScoringModel]:
    return opened(engine, Operation.SCORE, lambda: cast(ScoringEngine, engine).load_scoring(spec))


def recognising(engine: Engine, spec: TextModelSpec) -> AbstractAsyncContextManager[RecognisingModel]:
    return opened(engine, Operation.RECOGNISE, lambda: cast(RecognisingEngine, engine).load_recognising(spec))


async def check_vectors(engine: Engine, spec: TextModelSpec) -> None:
    """A vector of length one for each text, of as many numbers as the model says: for the empty text too."""
    import numpy as np

    async with embedding(engine, spec) as model:
        found = await model.embed(TEXTS)
        promised(found.shape == (len(TEXTS), model.dimensions), "a row for each text", found.shape)
        promised(found.dtype == np.float32, "vectors are of f32", found.dtype)
        lengths = np.linalg.norm(found, axis=1)
        promised(bool(np.all(abs(lengths - 1) < CLOSE)), "vectors are of length one", lengths.tolist())
        none = await model.embed(())
        promised(none.shape == (0, model.dimensions), "no texts are no rows", none.shape)
        promised(bool(model.key), "a model names what its vectors are of")


async def check_vectors_alone(engine: Engine, spec: TextModelSpec) -> None:
    """What a text's vector is does not depend on the texts beside it, on their number or on their order."""
    async with embedding(engine, spec) as model:
        together = await model.embed(TEXTS)
        for number, text in enumerate(TEXTS):
            alone = (await model.embed((text,)))[0]
            promised(
                _near(together[number], alone), "a vector is what it is alone", text[:40], _off(together[number], alone)
            )
        turned = (await model.embed(TEXTS[::-1]))[::-1]
        promised(_near(together, turned), "vectors are in the order of the texts", _off(together, turned))
        promised(_near(together[0], together[-1]), "equal texts have equal vectors", _off(together[0], together[-1]))
        promised(not _near(together[0], together[5]), "other texts have other vectors")


async def check_whole_text(engine: Engine, spec: TextModelSpec) -> None:
    """A long text is read to its end."""
    async with embedding(engine, spec) as model:
        one, other = await model.embed((LONG, LONG + "Bread is made of flour, water, salt and yeast. " * 25))
        promised(not _near(one, other), "the end of a long text counts")


async def check_many_vectors(engine: Engine, spec: TextModelSpec) -> None:
    """Many calls at once, each of many texts, all give what they give alone; one that is cancelled disturbs none."""
    async with embedding(engine, spec) as model:
        calls = [[f"Text {call} {each} " + "and more " * (each % 7) for each in range(20)] for call in range(8)]
        alone = [await model.embed(texts) for texts in calls]
        found: list[NDArray[np.float32]] = []

        async def leaving() -> None:
            with anyio.move_on_after(0.001):
                await model.embed([text for texts in calls for text in texts])

        async with anyio.create_task_group() as group:
            group.start_soon(leaving)
            found += await at_once(len(calls), lambda number: model.embed(calls[number]))
        for number, vectors in enumerate(alone):
            promised(_near(found[number], vectors), "calls at once do not disturb each other", number)


async def check_same_key(engine: Engine, spec: TextModelSpec) -> None:
    """A model that is loaded again, after it was closed, has the same key and gives the same vectors."""
    async with embedding(engine, spec) as model:
        key, vectors = model.key, await model.embed(TEXTS[:3])
        await model.close()
    async with embedding(engine, spec) as model:
        promised(model.key == key, "the same model has the same key", key, model.key)
        promised(_near(await model.embed(TEXTS[:3]), vectors), "the same key means the same vectors")


async def check_scores(engine: Engine, spec: TextModelSpec) -> None:
    """A number for each passage, in order, whatever passages are beside it: empty, long and equal ones."""
    async with scoring(engine, spec) as model:
        together = [float(score) for score in await model.score(QUESTION, TEXTS)]
        promised(len(together) == len(TEXTS), "a score for each passage", together)
        room = CLOSE_SCORE * max(1.0, max(together) - min(together))
        for number, passage in enumerate(TEXTS):
            (alone,) = await model.score(QUESTION, (passage,))
            promised(abs(alone - together[number]) < room, "a score is what it is alone", passage[:40], alone, together)
        turned = [float(score) for score in await model.score(QUESTION, TEXTS[::-1])][::-1]
        promised(max(abs(a - b) for a, b in zip(turned, together, strict=True)) < room, "scores are in order", turned)
        promised(abs(together[0] - together[-1]) < room, "equal passages have equal scores", together)
        promised(list(await model.score(QUESTION, ())) == [], "no passages have no scores")
        promised(len(await model.score("", TEXTS[:2])) == 2, "an empty question is a question")


async def check_score_order(engine: Engine, spec: TextModelSpec) -> None:
    """A passage that repeats the question's words and answers it scores higher than one of another subject."""
    async with scoring(engine, spec) as model:
        answer, other = await model.score(QUESTION, (TEXTS[0], TEXTS[5]))
        promised(answer > other, "higher is better", answer, other)


async def check_many_scores(engine: Engine, spec: TextModelSpec) -> None:
    """Many calls at once give what they give alone, and so does a model that is loaded again."""
    async with scoring(engine, spec) as model:
        questions = [QUESTION, "Where is a tent pitched?", "What is x?", "x"]
        alone = [list(await model.score(question, TEXTS[:3])) for question in questions]
        found = await at_once(len(questions), lambda number: model.score(questions[number], TEXTS[:3]))
        await model.close()
    async with scoring(engine, spec) as model:
        again = list(await model.score(questions[0], TEXTS[:3]))
    for number, scores in [*enumerate(found), (0, again)]:
        off = max(abs(a - b) for a, b in zip(scores, alone[number], strict=True))
        promised(off < CLOSE_SCORE * 20, "calls at once do not disturb each other", number, off)


async def check_entities(engine: Engine, spec: TextModelSpec) -> None:
    """Entities stand in the text, from left to right, apart from each other, under labels that the model names; of each
    text, whatever texts are beside it, and of many calls at once."""
    async with recognising(engine, spec) as model:
        texts = (*TEXTS, "My name is Ada Lovelace and I live in 12 Berry Street, London.")
        together = list(await model.recognise(texts))
        promised(len(together) == len(texts), "an answer for each text", len(together))
        for text, entities in zip(texts, together, strict=True):
            at = 0
            for entity in entities:
                promised(at <= entity.start < entity.end <= len(text), "entities do not overlap", entity, len(text))
                promised(entity.label in model.labels, "a label is one of the model's", entity)
                promised(0 <= entity.score <= 1, "a score is from 0 to 1", entity)
                at = entity.end
        promised(together[2] == () and together[3] == (), "nothing is found in nothing", together[2], together[3])
        promised(list(await model.recognise(())) == [], "no texts have no answers")
        found = await at_once(len(texts), lambda number: model.recognise(texts[number : number + 1]))
        for number, own in enumerate(found):
            promised(list(own) == together[number : number + 1], "a text's entities are its own", texts[number][:40])


def _off(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(abs(found - wanted).max())


def _near(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> bool:
    return found.shape == wanted.shape and _off(found, wanted) < CLOSE
