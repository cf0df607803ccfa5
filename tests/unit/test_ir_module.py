"""Modules as values: digests, reading back, what cannot be read, the readable form, model operations inside."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from typing import Any

import pytest
from agent_sources import checked

from agentlang.ir import compile as irc
from agentlang.ir import stablehlo
from agentlang.ir.compile import Module
from agentlang.ir.graph import walk
from agentlang.ir.library import NoLibrary

HELLO = """use std/llm

model writer = llm.chat("smollm2-135m-instruct")

pipeline hello(name: Text = "world") -> stream Text {
  return writer.chat("Greet {name} in one short sentence.", max_tokens: 32)
}
"""


def module_of(text: str = HELLO, path: str = "hello.agent", until: str | None = "split_llm") -> Module:
    program, problems = checked(text, path)
    assert program is not None, problems
    module, problems = irc.lower(program)
    assert module is not None, problems
    module, problems = irc.run_passes(module, NoLibrary(), until)
    assert module is not None, problems
    return module


def test_the_digest_is_of_the_meaning() -> None:
    digest = module_of().digest
    assert digest == module_of(f"# A comment.\n\n{HELLO}").digest == module_of(path="other.agent").digest
    assert digest == module_of().graph().digest
    assert digest != module_of(HELLO.replace("32", "33")).digest
    assert digest != module_of(until="inline_pipelines").digest


def test_the_generic_form_without_places() -> None:
    assert "hello.agent" in module_of().text()
    assert "hello.agent" not in module_of().text(locations=False)


def test_bytecode_is_read_only_by_its_hash() -> None:
    module = module_of()
    code = module.bytecode()
    good = hashlib.sha256(code).hexdigest()
    back, problems = irc.parse(code, good)
    assert back is not None and problems == ()
    damaged = code[:-9] + bytes(9)
    for given, digest in ((code, None), (damaged, good), (code, "0" * 64)):
        back, problems = irc.parse(given, digest)
        assert back is None
        assert [problem.slug for problem in problems] == ["module-unreadable"]


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("agent.return", "module-unreadable"),
        ("", None),
        ("module {", "module-unreadable"),
        ("\x00\x01", "module-unreadable"),
        ('"agent.nothing"() : () -> ()', "module-unreadable"),
        ('"agent.handle"() {name = "x"} : () -> ()', "module-unsound"),
        ('"agent.open"() {name = "x"} : () -> !agent.fish', "module-unreadable"),
    ],
)
def test_texts_that_are_no_modules(text: str, slug: str | None) -> None:
    module, problems = irc.parse(text)
    assert {problem.slug for problem in problems} == ({slug} if slug else set())
    assert (module is None) == (slug is not None)


def test_the_readable_form_shows_prefill_and_decode_at_their_line() -> None:
    lines = module_of().text(pretty=True).splitlines()
    source = next(n for n, line in enumerate(lines) if line.startswith("    6 | return writer.chat("))
    after = [line.split(";")[-1].strip() for line in lines[source + 1 :] if ";" in line]
    assert [f"hello.chat.{name}" for name in ("tokenize", "prefill", "transfer", "decode", "detokenize")] == after[1:6]


def test_the_readable_form_without_the_source_says_the_place() -> None:
    module, _ = irc.parse(module_of().text())
    assert module is not None
    assert "    6 | hello.agent:6:" in module.text(pretty=True)


def test_a_module_outlives_what_it_came_from() -> None:
    """Objects of the bindings hold each other; the garbage collector must not break a module."""
    import gc

    modules = [module_of(HELLO.replace("32", str(n))) for n in range(1, 21)]
    gc.collect()
    assert len({module.digest for module in modules}) == 20
    assert all(f"max_tokens: {n}," in module.text(pretty=True) for n, module in enumerate(modules, 1))


def test_lowering_twice_in_threads_gives_the_same() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: module_of().digest, range(12)))) == 1


# --- model operations ------------------------------------------------------------------------------------------------

EXPORT = """
import sys, jax, jax.numpy as jnp
from jax import export
def helper(x): return jnp.where(x > 0, x, 0.5 * x)
def prefill(weights, tokens): return jax.jit(helper)(weights[tokens]).sum(0)
def decode(weights, token): return jax.jit(helper)(weights[token] + 1)
weights = jax.ShapeDtypeStruct((16, 4), jnp.float32)
for function, shape in ((prefill, (8,)), (decode, ())):
    made = export.export(jax.jit(function), platforms=["cpu"])(weights, jax.ShapeDtypeStruct(shape, jnp.int32))
    print(bytes(made.mlir_module_serialized).hex())
"""


@pytest.fixture(scope="module")
def artifacts() -> dict[str, bytes]:
    pytest.importorskip("jax", reason="JAX is not installed")
    done = subprocess.run([sys.executable, "-c", EXPORT], capture_output=True, text=True, check=True)
    prefill, decode = (bytes.fromhex(line) for line in done.stdout.split())
    return {"prefill_8": prefill, "decode_16": decode}


def linked(artifacts: dict[str, bytes]) -> Module:
    module, problems = module_of().with_functions({"writer": artifacts})
    assert module is not None, problems
    return module


def test_functions_are_nested_and_named(artifacts: dict[str, bytes]) -> None:
    module = linked(artifacts)
    by_name = {o.name: o for o in walk(module.graph().pipeline("hello").body)}
    assert by_name["agent.prefill"].attributes["functions"] == ("prefill_8",)
    assert by_name["agent.decode"].attributes["functions"] == ("decode_16",)
    lines = [line for line in module.text(pretty=True).splitlines() if line.startswith("function")]
    assert len(lines) == 2
    assert "function @writer::@prefill_8(tensor<16x4xf32>, tensor<8xi32>) -> (tensor<4xf32>), " in lines[0]
    # The helper that both have is theirs alone.
    names = set(stablehlo.functions(module.operation)["writer"])
    assert {name.split(".")[0] for name in names} == {"prefill_8", "decode_16"}
    assert len(names) > 2


def test_linked_modules_come_back(artifacts: dict[str, bytes]) -> None:
    module = linked(artifacts)
    back, problems = irc.parse(module.text(), sources=module.sources)
    assert back is not None, problems
    assert back.text() == module.text() and back.graph() == module.graph()
    code = module.bytecode()
    back, _ = irc.parse(code, hashlib.sha256(code).hexdigest(), module.sources)
    assert back is not None and back.text() == module.text()


def test_a_nested_function_computes_what_it_did(artifacts: dict[str, bytes]) -> None:
    jax: Any = pytest.importorskip("jax", reason="JAX is not installed")
    import numpy as np
    from jax import export

    back = stablehlo.portable(linked(artifacts).operation, "writer", "prefill_8")

    def same_shape(weights: Any, tokens: Any) -> Any:
        return weights[tokens].sum(0)

    weights = np.linspace(-1, 1, 64, dtype=np.float32).reshape(16, 4)
    tokens = np.arange(8, dtype=np.int32)
    shell = export.export(jax.jit(same_shape), platforms=["cpu"])(weights, tokens)
    results = [
        np.asarray(jax.jit(dataclasses.replace(shell, mlir_module_serialized=given).call)(weights, tokens))
        for given in (artifacts["prefill_8"], back)
    ]
    np.testing.assert_array_equal(results[0], results[1])
    rows = weights[tokens]
    np.testing.assert_allclose(results[1], np.where(rows > 0, rows, 0.5 * rows).sum(0), rtol=1e-6)


def test_what_cannot_be_linked(artifacts: dict[str, bytes], capfd: pytest.CaptureFixture[str]) -> None:
    module = module_of()
    for damaged in (artifacts["prefill_8"][:-30], b"nonsense", b""):
        made, problems = module.with_functions({"writer": {"prefill_8": damaged}})
        assert made is None
        assert [problem.slug for problem in problems] == ["function-unreadable"]
    # Nothing is printed behind the caller's back.
    assert capfd.readouterr() == ("", "")
    with pytest.raises(KeyError, match="reader"):
        module.with_functions({"reader": artifacts})
    with pytest.raises(KeyError, match="writer"):
        linked(artifacts).with_functions({"writer": artifacts})
