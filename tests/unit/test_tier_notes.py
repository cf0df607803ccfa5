"""A tier that suits no model is a note, by what the catalogues say of both."""

from __future__ import annotations

import pytest

from agentlang import api
from agentlang.base.problems import Severity

PROGRAM = """
use std/llm
model writer = llm.chat("llama-3-70b-instruct")
pipeline chat(prompt: Text) -> stream Text {{
  return writer.chat(prompt)
}}
fleet mixed {{
  tier gpu = catalog.h100 {{ count 0..8 }}
  tier other = {other}
  link gpu <-> other 1 Gbit/s, 20 ms
}}
"""


@pytest.mark.parametrize(
    ("other", "noted"),
    [
        ("catalog.laptop { count 1 }", True),
        ("catalog.a40 { count 0..8 }", False),
        ('endpoint("https://models.example/v1") { serves ["gpt-oss-120b"] }', True),
        ('endpoint("https://models.example/v1") { serves ["llama-3-70b-instruct"] }', False),
    ],
)
def test_a_tier_that_suits_no_model(other: str, noted: bool) -> None:
    source, _ = api.decode("mixed.agent", PROGRAM.format(other=other).encode())
    assert source is not None
    checked = api.check(source)
    assert checked.program is not None
    found = [(p.slug, p.severity, p.span.line if p.span else 0) for p in checked.problems]
    assert found == ([("tier-unsuitable", Severity.NOTE, 9)] if noted else [])
