"""`--on ray` where Ray is not, or where no cluster is: said by name, before anything is begun."""

from __future__ import annotations

import socket
import sys

import pytest

from agentlang.base.problems import OutsideError
from agentlang.cli.main import main
from agentlang.executor.ray.cluster import cluster

PROGRAM = """use std/text

pipeline clean(question: Text) -> Text {
  return text.redact(question) with place on far
}

fleet office {
  tier near = catalog.laptop { count 1 }
  tier far = catalog.laptop { count 0..1 }
  link * <-> * 10 Gbit/s, 100 us
}
"""


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OutsideError) as raised, cluster(None, {"far": 1}):
        pass
    assert raised.value.problem.slug == "extra-missing"
    assert "agentlang-toolchain[ray]" in (raised.value.problem.hint or "")


@pytest.mark.parametrize("words", [["--worker", "far=tcp://far.example:7411"], ["--listen", "tcp://here.example:0"]])
def test_where_workers_are_is_for_ray_to_say(
    words: list[str], tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path_factory.mktemp("ray") / "office.agent"
    file.write_text(PROGRAM)
    given = [*words, "--credentials", "papers"]
    assert main(["run", str(file), "--on", "ray", "question=a", *given]) == 2
    assert "not-on-ray" in capsys.readouterr().err


def test_a_cluster_that_is_not_there_is_named_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OutsideError) as raised, cluster(address, {"far": 1}):
            pass
    assert raised.value.problem.slug == "ray-unreachable"
    assert address in raised.value.problem.title
