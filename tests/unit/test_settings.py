"""`agentlang.toml`: what it says, and every way in which it can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from agent_sources import ROOT, blocks
from cli_runs import agentlang

from agentlang.base.source import Source
from agentlang.checking import check
from agentlang.stdlib.settings import EndpointSettings, SecretName, ServerSettings, Settings, ToolSettings, find, read
from agentlang.stdlib.settings.apply import applied


def read_text(text: str, profile: str | None = None) -> tuple[Settings, list[tuple[str, int | None]]]:
    settings, problems = read(Source("agentlang.toml", text), profile)
    assert all(problem.hint for problem in problems)
    return settings, [(p.slug, p.span.line if p.span else None) for p in problems]


def page() -> str:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    return next(block for kind, block, _ in blocks(text) if kind == "toml")


def test_the_page_shows_settings_that_are_read() -> None:
    settings, problems = read_text(page())
    assert problems == []
    assert settings.model("writer-small") == "smollm2-135m-instruct"
    assert settings.model("another") == "another"
    assert settings.servers["web"] == ServerSettings(("uvx", "web-search"), {"KEY": SecretName("SEARCH_KEY")})
    assert settings.endpoints["cloud"] == EndpointSettings("https://models.example/v1", SecretName("REMOTE_KEY"))
    assert settings.tools == ToolSettings(("127.0.0.1:8000",), 2.0**30, 30.0)


def test_an_endpoint_may_be_asked_in_another_way() -> None:
    settings, problems = read_text('[endpoints.far]\nurl = "https://x"\napi = "completions"\nschemas = "tools"\n')
    assert problems == []
    assert settings.endpoints["far"] == EndpointSettings("https://x", None, "completions", "tools")


def test_doctor_says_which_secrets_are_set(tmp_path: Path) -> None:
    (tmp_path / "agentlang.toml").write_text(page())
    done = agentlang("doctor", "--json", cwd=tmp_path, SEARCH_KEY="sesame")
    found = {finding["what"]: finding for finding in json.loads(done.out)}
    assert found["settings"]["good"] and found["settings"]["says"].endswith("agentlang.toml")
    assert [found[f"secret {name}"]["good"] for name in ("SEARCH_KEY", "REMOTE_KEY")] == [True, False]
    assert "sesame" not in done.out + done.err
    (tmp_path / "agentlang.toml").write_text("[tool]\n")
    done = agentlang("doctor", cwd=tmp_path)
    assert "settings-unknown-key" in done.out


def test_a_profile_is_put_over_the_rest() -> None:
    settings, problems = read_text(page(), "ci")
    assert problems == []
    assert settings.tools == ToolSettings(("127.0.0.1:8000",), 2.0**30, 5.0)
    assert settings.profile == "ci"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[models\nuse = 1\n", [("settings-not-toml", 1)]),
        ("a = 1\na = 2\n", [("settings-not-toml", 2)]),
        ('[tools]\ntimeuot = "30 s"\n', [("settings-unknown-key", 2)]),
        ("[tool]\n", [("settings-unknown-key", 1)]),
        ("\n[models.small]\n", [("settings-missing-key", 2)]),
        ("[endpoints.cloud]\n", [("settings-missing-key", 1)]),
        (
            '[endpoints.cloud]\nurl = "https://x"\napi = "talk"\nschemas = 3\n',
            [("settings-wrong-value", n) for n in (3, 4)],
        ),
        ("[tools]\nmemory = 1\n", [("settings-wrong-value", 2)]),
        ('[tools]\nmemory = "1 s"\n', [("settings-wrong-value", 2)]),
        ('[tools]\nallow = "127.0.0.1"\n', [("settings-wrong-value", 2)]),
        ("tools = 3\n", [("settings-wrong-value", 1)]),
        ("[servers.web]\nenv = { KEY = 3 }\n", [("settings-wrong-value", 2)]),
        ('[profiles.ci.tools]\ntimeuot = "1 s"\n', [("settings-unknown-key", 2)]),
        (
            '[tools]\nmemory = true\n[models.a]\nuse = ""\n[x]\n',
            [("settings-unknown-key", 5), ("settings-wrong-value", 4), ("settings-wrong-value", 2)],
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_place(text: str, expected: list[tuple[str, int | None]]) -> None:
    assert sorted(read_text(text)[1]) == sorted(expected)


def test_settings_name_the_engine_of_a_model_unless_the_program_does() -> None:
    settings, problems = read(
        Source("agentlang.toml", '[models.small]\nuse = "smollm2-135m-instruct"\nengine = "llamacpp"\n')
    )
    assert problems == ()
    for stated, expected in (("", "llamacpp"), (', engine: "null"', "null")):
        text = f'use std/llm\nmodel m = llm.chat("small"{stated})\npipeline p() -> Text {{ return all(m.chat("x")) }}\n'
        program = check(Source("p.agent", text)).program
        assert program is not None
        (handle,) = applied(program, settings).handles
        said = {one.name: one.value for one in handle.arguments}
        assert [getattr(said[name], "value", None) for name in ("name", "engine")] == [
            "smollm2-135m-instruct",
            expected,
        ]


def test_a_secret_that_is_written_out_is_refused_and_not_repeated() -> None:
    text = '[endpoints.cloud]\nurl = "https://x"\nkey = "sk-123"\n'
    settings, problems = read(Source("agentlang.toml", text))
    assert [p.slug for p in problems] == ["settings-secret"]
    assert problems[0].span is not None and problems[0].span.line == 3
    assert "sk-123" not in repr(problems) + repr(settings)


def test_an_unknown_profile_names_those_there_are() -> None:
    _, problems = read(Source("agentlang.toml", page()), "prod")
    assert [p.slug for p in problems] == ["settings-unknown-profile"]
    assert "ci" in (problems[0].hint or "")


def test_the_nearest_file_counts_up_to_the_top_of_the_repository(tmp_path: Path) -> None:
    inner = tmp_path / "repo" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "agentlang.toml").write_text("")
    assert find(inner) == tmp_path / "agentlang.toml"
    (tmp_path / "repo" / ".git").mkdir()
    assert find(inner) is None
    (tmp_path / "repo" / "a" / "agentlang.toml").write_text("")
    assert find(inner) == tmp_path / "repo" / "a" / "agentlang.toml"
