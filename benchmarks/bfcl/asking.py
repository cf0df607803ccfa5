"""The model is asked for one call at a time, each reply held to the schema of the functions at hand."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from agentlang.executor.engines.generation import generate
from agentlang.executor.engines.protocol import ChatModel, Finish, Message, Sampling

from .data import Question
from .rules import wrong
from .schemas import choice, well_formed

MOST = 1024
"""Tokens of a reply. A call that is longer is cut, and then it is not well-formed."""


@dataclass
class Outcome:
    """Of a set: how many calls were well-formed and right, and what was wrong with the others."""

    name: str
    asked: int = 0
    well_formed: int = 0
    right: int = 0
    wrong: Counter[str] = field(default_factory=Counter[str])
    ill_formed: dict[str, str] = field(default_factory=dict[str, str])
    """By question, why."""
    left_out: Counter[str] = field(default_factory=Counter[str])
    """Words of the functions' schemas that the dialect does not have."""
    prompt_tokens: int = 0
    tokens: int = 0
    seconds: float = 0.0


async def ask_all(model: ChatModel, name: str, questions: Sequence[Question], at_once: int) -> Outcome:
    outcome = Outcome(name)
    limiter = anyio.CapacityLimiter(at_once)
    began = time.perf_counter()

    async def one(question: Question) -> None:
        async with limiter:
            await _ask(model, question, outcome)

    async with anyio.create_task_group() as group:
        for question in questions:
            group.start_soon(one, question)
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _ask(model: ChatModel, question: Question, outcome: Outcome) -> None:
    schema = choice(question.functions, outcome.left_out)
    async with generate(model, messages(question), Sampling(max_tokens=MOST, schema=schema)) as reply:
        text = "".join([piece async for piece in reply])
    stats = reply.stats
    assert stats is not None
    outcome.asked += 1
    if not outcome.asked % 50:
        print(f"{outcome.name}: {outcome.asked} asked, {outcome.right} right", file=sys.stderr, flush=True)
    outcome.prompt_tokens += stats.prompt_tokens
    outcome.tokens += stats.generated_tokens
    call, why = well_formed(text, question.functions)
    if reply.finish is not Finish.STOP:
        call, why = None, f"cut ({reply.finish}) after {text[-80:]!r}"
    if call is None:
        outcome.ill_formed[question.id] = why
        outcome.wrong["not well-formed"] += 1
        return
    outcome.well_formed += 1
    mistake = wrong(call, question.functions, question.truth)
    if mistake is None:
        outcome.right += 1
    else:
        outcome.wrong[mistake] += 1


def messages(question: Question) -> tuple[Message, ...]:
    described = "\n".join(
        f"{function['name']}: {function['description']}\n  arguments: {json.dumps(_arguments(function))}"
        for function in question.functions
    )
    told = (
        "Answer with one call of a function and nothing else, as JSON: the function's name, and its arguments by name. "
        f"Arguments that the question says nothing of are left out.\n\nFunctions:\n{described}"
    )
    return (Message("system", told), Message("user", question.text))


def _arguments(function: dict[str, Any]) -> dict[str, Any]:
    parameters = function["parameters"]
    return {"properties": parameters["properties"], "required": parameters.get("required", [])}
