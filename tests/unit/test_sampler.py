"""How a decode chooses, as a stage of its own: which chats have one, that it gives the reply it gave before, that what
it takes is ready when the decode begins, and that the call is still one call."""

from __future__ import annotations

import json
from typing import Any, cast

import anyio
import pytest
from agent_sources import checked
from ir_meaning import keeps_meaning
from ir_programs import SmallLibrary
from island_runs import divided

from agentlang.base.problems import has_errors
from agentlang.executor.backends import Call
from agentlang.executor.backends.recording import RecordingBackend
from agentlang.executor.backends.replaying import ReplayBackend
from agentlang.executor.cassettes import Cassette, Recorded, digest
from agentlang.executor.deployment import Deployment
from agentlang.executor.engines.protocol import ModelSpec, Prepares, Sampling
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.frames import End
from agentlang.executor.kinds import Context, Usage
from agentlang.executor.shell import open_shell
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.graph import Operation, SamplerType, walk
from agentlang.ir.passes import PLAIN
from agentlang.stdlib.kinds import llm
from agentlang.stdlib.models.tiny import TinyLlama

HEAD = """
use std/llm
model writer = llm.chat("smollm2-135m-instruct")
type Order { id: Int, item: Text }
fleet pair {
  tier cpu = catalog.laptop { count 1 }
  tier gpu = catalog.l40s { count 1 }
  link cpu <-> gpu 10 Gbit/s, 1 ms
}
"""
PLAINLY = HEAD + 'pipeline p(q: Text) -> Text { return all(writer.chat("Q: {q}", max_tokens: 8)) }'
WARMLY = (
    HEAD + 'pipeline p(q: Text) -> Text { return all(writer.chat("{q}", max_tokens: 8, temperature: 0.7, seed: 3)) }'
)
ASKED = HEAD + 'pipeline p(q: Text, t: Float) -> Text { return all(writer.chat("{q}", max_tokens: 8, temperature: t)) }'
NARROWLY = HEAD + (
    'pipeline p(q: Text) -> Text { return all(writer.chat("{q}", temperature: 0.7, top_k: 5, top_p: 0.5)) }'
)
INTO = HEAD + 'pipeline p(q: Text) -> Order { return writer.chat("Q: {q}", max_tokens: 64) into Order }'


def module(text: str, passes: tuple[str, ...] = PLAIN) -> Module:
    program, problems = checked(text)
    assert program is not None and not has_errors(problems), [problem.title for problem in problems]
    lowered, problems = irc.lower(program)
    assert lowered is not None, problems
    made, problems = irc.run_passes(lowered, SmallLibrary(), passes=passes)
    assert made is not None, problems
    return made


def stages(text: str) -> dict[str, Operation]:
    """By the last word of their ids."""
    return {
        o.id.rpartition(".")[2]: o for o in walk(module(text).graph().pipeline("p").body) if "entry" in o.attributes
    }


@pytest.mark.parametrize("text", [WARMLY, ASKED, INTO])
def test_a_chat_that_chooses_has_a_sampler(text: str) -> None:
    found = stages(text)
    sample, decode = found["sample"], found["decode"]
    assert sample.results[0].type == SamplerType("writer")
    assert sample.attributes["parameters"] == ("self", "temperature", "seed")
    assert decode.attributes["parameters"] == ("self", "kv", "max_tokens", "sampler")
    assert decode.operands[3] == sample.results[0]
    assert sample.attributes.get("schema") == decode.attributes.get("schema")
    # It needs no prompt, so it may run while that is prefilled.
    assert not {value.id for name in ("tokenize", "prefill") for value in found[name].results} & {
        value.id for value in sample.operands
    }
    assert sample.demand is not None and sample.demand.cpu.terms


def test_a_greedy_chat_has_none() -> None:
    assert "sample" not in stages(PLAINLY)


def test_what_narrows_the_choice_is_said_to_the_sampler() -> None:
    assert stages(NARROWLY)["sample"].attributes["parameters"] == ("self", "temperature", "top_k", "top_p", "seed")
    # At no temperature there is nothing to narrow.
    assert "sample" not in stages(NARROWLY.replace("temperature: 0.7, ", ""))


@pytest.mark.parametrize("text", [WARMLY, NARROWLY, INTO])
def test_the_call_means_what_it_meant(text: str) -> None:
    before = tuple(name for name in PLAIN if name not in ("split_llm", "annotate_demand"))
    keeps_meaning(module(text, before), module(text))


@pytest.mark.parametrize("tier", [{}, {"p.chat.sample": "gpu"}])
def test_it_goes_to_the_tier_that_decodes(tier: dict[str, str]) -> None:
    made = divided(module(INTO), {"p.chat.decode": "gpu", **tier})
    sends = [o for o in walk(made.sent.graph().pipeline("p").body) if o.name == "agent.send"]
    crossing = [o for o in sends if isinstance(o.operands[0].type, SamplerType)]
    assert len(crossing) == (0 if tier else 1)


# --- recorded --------------------------------------------------------------------------------------------------------


class Models:
    """Says `{"id": 1, "item": "x"}`, one letter a token; as a chat that was split before there were samplers, too."""

    async def open(self, handle: Any) -> None:
        pass

    def immediate(self, entry: str) -> bool:
        return False

    def now(self, call: Call) -> object:
        raise AssertionError(call)

    def bound(self, call: Call) -> None:
        return None

    async def run(self, call: Call) -> object:
        match call.entry:
            case "llm:decode":
                for letter in '{"id": 1, "item": "x"}':
                    await call.ready()
                    call.send(ord(letter))
            case "llm:detokenize":
                async for token in cast(Any, call.arguments["tokens"]):
                    await call.ready()
                    call.send(chr(token))
            case "llm:sample":
                return {name: value for name, value in call.arguments.items() if name != "self"}
            case _:
                return [call.entry]  # each another object, as caches are
        return None

    async def close(self) -> None:
        pass


def value(made: Module, backend: Any) -> object:
    async def main() -> object:
        with anyio.fail_after(20):
            async with open_shell(Deployment(made.graph()), backend) as shell:
                running = shell.start("p", {"q": "why?"})
                async with running:
                    async for frame in running:
                        if isinstance(frame, End):
                            return frame.outcome.value
        raise AssertionError("a run without an end")

    return anyio.run(main)


def test_a_chat_is_still_one_call_with_all_that_it_was_asked_with() -> None:
    calls: list[Recorded] = []
    made = module(INTO)
    assert value(made, RecordingBackend(Models(), calls.append, salt="s")) == {"id": 1, "item": "x"}
    (call,) = calls
    assert call.name == "writer.chat"
    assert call.arguments == {
        "prompt": "Q: why?", "system": "", "max_tokens": 64, "temperature": 0, "seed": 0, "stop": [],
    }  # fmt: skip
    # The key is that of a decode which is told how to choose beside the rest: older cassettes play.
    asked = {name: given for name, given in call.arguments.items() if name != "stop"}
    assert call.key == digest([call.name, "decode", asked, stages(INTO)["decode"].attributes["schema"]], "s")
    assert value(made, ReplayBackend(Cassette(tuple(calls), "s"), Models())) == {"id": 1, "item": "x"}


# --- run -------------------------------------------------------------------------------------------------------------

SCHEMA = json.dumps({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2})


@pytest.mark.parametrize("chosen", [{"temperature": 0.0}, {"temperature": 1.0, "seed": 4}])
@pytest.mark.parametrize("schema", [None, SCHEMA])
def test_a_model_chooses_by_a_sampler_as_beside_it_and_is_ready_when_it_decodes(
    chosen: dict[str, Any], schema: str | None
) -> None:
    def context() -> Context:
        return Context("p.chat", Usage(), settings={} if schema is None else {"schema": schema})

    async def reply(model: Any, **arguments: object) -> list[int]:
        kv = await llm.prefill(context(), {"self": model, "tokens": tuple(range(3, 20))})
        given = {"self": model, "kv": kv, "max_tokens": 40, **arguments}
        return [token async for token in llm.decode(context(), given)]

    async def main() -> None:
        model: Any = await XlaEngine(keep_programs=False).load(ModelSpec("tiny", TinyLlama(seed=1)))
        assert isinstance(model, Prepares)
        sampler = await llm.sample(context(), {"self": model, **chosen})
        assert sampler == chosen
        if schema is not None:
            assert list(model._masks._compiled) == [schema]  # pyright: ignore[reportPrivateUsage]
        ready = model.compiled
        assert ready > 0, "what chooses is compiled"
        await model.prepare(Sampling(schema=schema, **chosen))
        assert model.compiled == ready, "and not again"
        assert await reply(model, sampler=sampler) == await reply(model, **chosen)

    anyio.run(main)
