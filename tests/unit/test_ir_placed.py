"""Operations and laws of placed modules and islands: what verifies, and what breaks each rule."""

from __future__ import annotations

import pytest

from agentlang.ir import compile as irc

WHOLE = """
module attributes {{agent.home = "cpu"{more}}} {{
  {channels}
  "agent.handle"() {{name = "m", keyword = "model", type = "llm.Model", entry = "llm:model",
                     arguments = {{}}}} : () -> ()
  {fleet}
  "agent.pipeline"() ({{
  ^bb0(%text: !agent.text, %bool: !agent.bool, %kv: !agent.kv<"m">, %model: !agent.handle_of<"llm.Model">):
    {body}
    "agent.return"() {{id = "p.return"}} : () -> ()
  }}) {{name = "p", result = !agent.none, parameters = [
    {{name = "text", type = !agent.text, required = true}}, {{name = "bool", type = !agent.bool, required = true}},
    {{name = "kv", type = !agent.kv<"m">, required = true}},
    {{name = "model", type = !agent.handle_of<"llm.Model">, required = true}}]}} : () -> ()
}}
"""
CHANNEL = '"agent.channel"() {name = "c", from = "cpu", to = "gpu", type = !agent.text, buffer = 1 : i64} : () -> ()'
SEND = (
    '%sent = "agent.send"(%text) {id = "p.send", channel = "c", tier = "cpu", to = "gpu"} '
    ": (!agent.text) -> !agent.in_transit<!agent.text>\n"
)
RECEIVE = (
    '%here = "agent.receive"(%sent) {id = "p.receive", channel = "c", tier = "gpu", from = "cpu"} '
    ": (!agent.in_transit<!agent.text>) -> !agent.text"
)
FLEET = """"agent.fleet"() ({
    "agent.tier"() {name = "cpu", device = "laptop", least = 1 : i64, most = 1 : i64} : () -> ()
    "agent.tier"() {name = "gpu", device = "l40s", least = 1 : i64, most = 1 : i64} : () -> ()
  }) {name = "f"} : () -> ()"""
HALT = '"agent.halt"(%bool) {id = "p.halt", tier = "gpu"} : (!agent.bool) -> ()'
OVER = '%over = "agent.over"() {id = "p.over", of = "p.x", tier = "gpu"} : () -> !agent.bool'
WATCH = '"agent.watch"() {id = "p.watch", channel = "c", tier = "cpu", to = "gpu"} : () -> ()'
SENT_AWAY = '"agent.send"(%text) {id = "p.send", channel = "c", tier = "cpu", to = "gpu"} : (!agent.text) -> ()'


def titles(body: str, channels: str = CHANNEL, fleet: str = "", more: str = "") -> list[str]:
    text = WHOLE.format(body=body, channels=channels, fleet=fleet, more=more)
    return [problem.title for problem in irc.parse(text)[1]]


IN_ISLAND = ', agent.tier = "cpu"'


@pytest.mark.parametrize(
    ("body", "channels", "fleet", "more"),
    [
        (SEND + RECEIVE, CHANNEL, "", ""),
        (SEND + RECEIVE, CHANNEL, FLEET, ""),
        (SENT_AWAY, CHANNEL, FLEET, IN_ISLAND),
        (f"{SENT_AWAY}\n{WATCH}", CHANNEL, "", IN_ISLAND),
        (f"{HALT}\n{OVER}", "", "", ', agent.tier = "gpu"'),
    ],
)
def test_good(body: str, channels: str, fleet: str, more: str) -> None:
    assert titles(body, channels, fleet, more) == []


BAD = [
    # Of single operations.
    (SEND.replace("in_transit<!agent.text>", "in_transit<!agent.int>"), CHANNEL, "", "sends Text, but gives"),
    (SEND.replace('to = "gpu"', 'to = "cpu"'), CHANNEL, "", "sends to the tier it is on"),
    (SEND.replace('to = "gpu"', 'to = "gpu", dtype = "f32"'), CHANNEL, "", "which only a KV cache has"),
    (
        '"agent.send"(%model) {id = "p.send", channel = "c", tier = "cpu", to = "gpu"} '
        ': (!agent.handle_of<"llm.Model">) -> ()',
        CHANNEL,
        IN_ISLAND,
        "cannot send llm.Model",
    ),
    (SEND + RECEIVE.replace(', from = "cpu"', ""), CHANNEL, "", "lacks the attribute 'from'"),
    (SEND + RECEIVE.replace('from = "cpu"', 'from = "gpu"'), CHANNEL, "", "receives from the tier it is on"),
    (SEND + RECEIVE.replace("-> !agent.text", "-> !agent.int"), CHANNEL, "", "as Int"),
    (WATCH.replace('to = "gpu"', 'to = "cpu"'), CHANNEL, IN_ISLAND, "watches the tier it is on"),
    (HALT.replace("%bool", "%text").replace("!agent.bool", "!agent.text"), "", "", "waits for a Bool"),
    (OVER.replace("!agent.bool", "!agent.text"), "", "", "gives a Bool"),
    (OVER.replace('of = "p.x"', 'of = ""'), "", "", "is of no operation"),
    (SEND + RECEIVE, CHANNEL.replace('to = "gpu"', 'to = "cpu"'), "", "to itself"),
    (SEND + RECEIVE, CHANNEL.replace("buffer = 1", "buffer = 0"), "", "has room for nothing"),
    (SEND + RECEIVE, CHANNEL.replace("buffer = 1", "buffer = 2"), "", "has a buffer for a value"),
    (SEND + RECEIVE, CHANNEL.replace('from = "cpu", ', ""), "", "lacks the attribute 'from'"),
    (
        SEND + RECEIVE,
        CHANNEL.replace("!agent.text", "!agent.secret"),
        "",
        "is for Secret, which cannot cross",
    ),
    # Of the whole.
    (SEND + RECEIVE, "", "", "'c' is no declared channel"),
    (SEND + RECEIVE, CHANNEL.replace("!agent.text", "!agent.int"), "", "is for Int, not Text"),
    (SEND + RECEIVE, CHANNEL.replace('"gpu"', '"far"'), "", "does not lead there"),
    (SEND + RECEIVE.replace('tier = "gpu"', 'tier = "far"'), CHANNEL, "", "does not lead there"),
    (SEND, CHANNEL, "", "has not one send and one receive"),
    ("", CHANNEL, "", "nothing is sent over the channel 'c'"),
    (SEND + SEND.replace("%sent", "%two").replace("p.send", "p.two") + RECEIVE, CHANNEL, "", "not one send"),
    (WATCH, CHANNEL, "", "which only an island does"),
    (SENT_AWAY, CHANNEL, "", "is no end of a channel in a whole module"),
    (SEND, CHANNEL, IN_ISLAND, "is no end of a channel in an island"),
    (SENT_AWAY, CHANNEL, ', agent.tier = "gpu"', "stands in the island of 'gpu', but is on 'cpu'"),
    (
        SENT_AWAY.replace('"cpu"', '"far"'),
        CHANNEL.replace('"cpu"', '"far"'),
        IN_ISLAND,
        "does not end on 'cpu'",
    ),
]


@pytest.mark.parametrize(("body", "channels", "more", "title"), BAD, ids=[each[-1] for each in BAD])
def test_bad(body: str, channels: str, more: str, title: str) -> None:
    found = titles(body, channels, more=more)
    assert any(title in each for each in found), found


def test_a_tier_is_one_of_the_fleet() -> None:
    far = SEND + RECEIVE.replace('"gpu"', '"far"')
    found = titles(far, CHANNEL.replace('"gpu"', '"far"'), FLEET)
    assert any("'far' is no tier of a fleet" in each for each in found), found


def test_after_transfers_are_inserted_nothing_else_crosses() -> None:
    made = '%x = "agent.declassify"(%text) {id = "p.x", tier = "cpu"} : (!agent.text) -> !agent.text'
    used = '%y = "agent.declassify"(%x) {id = "p.y", tier = "gpu"} : (!agent.text) -> !agent.text'
    assert titles(f"{made}\n{used}", "") == []
    found = titles(f"{made}\n{used}", "", more=', agent.passes = ["insert_transfers"]')
    assert any("takes on 'gpu' what is on 'cpu'" in each for each in found), found


ISLAND = """
module attributes {{agent.home = "cpu"}} {{
  "agent.island"() ({{ {inside} }}) {{name = "{name}"{tier}}} : () -> ()
}}
"""
CONSTANT = '%x = "agent.constant"() {id = "x", value = "x"} : () -> !agent.text'
PIPELINE = """"agent.pipeline"() ({ "agent.return"() {id = "p.return"} : () -> () })
  {name = "p", result = !agent.none, parameters = []} : () -> ()"""


@pytest.mark.parametrize(
    ("inside", "name", "tier", "title"),
    [
        (PIPELINE, "cpu", ', tier = "cpu"', None),
        (PIPELINE, "", ', tier = "cpu"', "has no name"),
        (PIPELINE, "cpu", "", "is on no tier"),
        (CHANNEL, "far", ', tier = "far"', "does not end on its tier"),
        (CONSTANT, "cpu", ', tier = "cpu"', "holds channels and pipelines, not agent.constant"),
    ],
)
def test_islands(inside: str, name: str, tier: str, title: str | None) -> None:
    found = [problem.title for problem in irc.parse(ISLAND.format(inside=inside, name=name, tier=tier))[1]]
    assert found == [] if title is None else any(title in each for each in found), found


def test_a_fallback_may_take_the_failure() -> None:
    tried = """"agent.try"() ({{ "agent.yield"() {{id = "p.a"}} : () -> () }},
      {{ ^bb0(%failure: {type}): "agent.yield"() {{id = "p.b"}} : () -> () }})
      {{id = "p.try", reasons = []}} : () -> ()"""
    assert titles(tried.format(type="!agent.failure"), "") == []
    assert any("with arguments" in each for each in titles(tried.format(type="!agent.text"), ""))
