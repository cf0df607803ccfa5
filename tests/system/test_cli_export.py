"""Plans as files for Kubernetes and Ray: held against the published schemas, the same twice, and refused by name."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cli_runs import COMMAND
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlang import exporting
from agentlang.cli import placed
from agentlang.cli.main import Parser, main
from agentlang.planner.catalogue import catalogue
from agentlang.planner.export import kubernetes
from agentlang.planner.export.deployment import About, Shipped, deployment_of, refusals
from agentlang.planner.export.devices import node_of
from agentlang.planner.export.yaml import documents as as_yaml
from agentlang.planner.plan import from_json

PROGRAM = """use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")

pipeline answer(question: Text @pii) -> stream Text {
  clean = text.redact(question) with place on near
  return writer.chat("Answer briefly: {clean}", max_tokens: 200)
}

goal answer {
  rate         RATE per s
  assume {
    question 40 tokens
    answer output 120 tokens
  }
  first_token  p95 <= 800 ms
  keep         @pii on [near]
}

fleet lab {
  tier near = catalog.epyc { count 0..4 }
  tier gpu  = catalog.DEVICE { count 1..8, price $2 per h }
  link * <-> * 10 Gbit/s, 100 us
}
"""
DESK = """use std/text

pipeline clean(question: Text) -> Text {
  return text.redact(question) with place on far
}

fleet office {
  tier near = catalog.epyc { count 1 }
  tier far = catalog.xeon { count 0..4 }
  link * <-> * 10 Gbit/s, 100 us
}
"""
# cert-manager's and Ray's own kinds are in no schema of Kubernetes.
OTHERS = ("cert-manager.io/", "ray.io/")


def program(folder: Path, device: str = "h100", rate: float = 300) -> Path:
    path = folder / "Order_desk.agent"
    path.write_text(PROGRAM.replace("DEVICE", device).replace("RATE", f"{rate:g}"), "utf-8")
    return path


def documents(folder: Path) -> list[dict[str, Any]]:
    return [
        document
        for path in sorted(folder.rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text("utf-8"))
    ]  # fmt: skip


def of(found: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (one,) = (each for each in found if each["kind"] == kind and each["metadata"]["name"] == name)
    return one


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program, its plan, and what each export makes of it."""
    folder = tmp_path_factory.mktemp("export")
    file, plan = program(folder), folder / "plan.json"
    assert main(["plan", str(file), "--out", str(plan)]) == 0
    for kind in exporting.WRITERS:
        assert export(folder, kind, folder / kind) == 0
    return folder


def export(place: Path, kind: str, out: Path, *words: str) -> int:
    file, plan = str(place / "Order_desk.agent"), str(place / "plan.json")
    return main(["export", file, "--to", kind, "--plan", plan, "--out", str(out), *words])


def test_manifests_of_kubernetes_keep_its_schemas_and_say_what_the_plan_says(place: Path) -> None:
    found = documents(place / "kubernetes")
    for each in found:
        if not each["apiVersion"].startswith(OTHERS):
            kubernetes_validate.validate(each, "1.37", strict=True)
    kinds = {each["kind"] for each in found}
    assert {"StatefulSet", "Job", "Service", "ConfigMap", "NetworkPolicy", "PodDisruptionBudget"} <= kinds

    planned = json.loads((place / "plan.json").read_text())
    (pool,) = (each for each in planned["pools"] if each["tier"] == "gpu" and each["slots"] > 1)
    workers = of(found, "StatefulSet", "order-desk-gpu")["spec"]
    assert workers["replicas"] == pool["replicas"]
    spec = workers["template"]["spec"]
    (worker,) = spec["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == str(pool["devices"])
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert expressions(spec) == {"nvidia.com/gpu.product": ["NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-SXM5-80GB"]}
    home = of(found, "Job", "order-desk-coordinator")["spec"]["template"]["spec"]
    assert expressions(home)["agentlang.dev/keeps-pii"] == ["true"]


def expressions(spec: dict[str, Any]) -> dict[str, list[str]]:
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = required["nodeSelectorTerms"]
    return {each["key"]: each["values"] for each in term["matchExpressions"]}


def test_no_secret_is_written_and_everything_runs_closed(place: Path) -> None:
    found = documents(place / "kubernetes")
    assert not [each for each in found if each["kind"] == "Secret"]
    for each in found:
        if each["kind"] not in ("StatefulSet", "Job"):
            continue
        spec = each["spec"]["template"]["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in (*spec["initContainers"], *spec["containers"]):
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]
        names = {volume["name"] for volume in spec["volumes"]}
        names |= {each["metadata"]["name"] for each in each["spec"].get("volumeClaimTemplates", ())}
        used = {m["name"] for c in (*spec["initContainers"], *spec["containers"]) for m in c["volumeMounts"]}
        assert used == names


def test_ray_gets_a_resource_for_each_tier(place: Path) -> None:
    found = documents(place / "ray")
    job = of(found, "RayJob", "order-desk")
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", **group["template"]}
        kubernetes_validate.validate(pod, "1.37", strict=True)
    tiers = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    assert tiers["gpu"]["rayStartParams"]["resources"] == "'{\"agentlang:gpu\": 1}'"
    group = json.loads((place / "ray" / "placement-group.json").read_text())
    assert len(group["bundles"]) == len(group["workers"]) == sum(each["replicas"] for each in tiers.values())
    for bundle, worker in zip(group["bundles"], group["workers"], strict=True):
        assert bundle[f"agentlang:{worker.partition('/')[0]}"] == 1


def test_the_same_plan_is_the_same_to_the_byte_and_what_is_not_in_it_any_more_goes(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(place, "kubernetes", tmp_path) == 0
    assert contents(tmp_path) == contents(place / "kubernetes")
    capsys.readouterr()
    assert export(place, "kubernetes", tmp_path) == 0
    assert capsys.readouterr().err.startswith("unchanged: ")
    assert export(place, "ray", tmp_path) == 0
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        "export.json",
        "placement-group.json",
        "program.yaml",
        "rayjob.yaml",
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_something_else_stays_as_it_is(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert export(place, "kubernetes", tmp_path) == 2
    assert "out-not-an-export" in capsys.readouterr().err
    assert contents(tmp_path) == {"mine.txt": b"mine"}


def test_the_program_is_shipped_to_the_byte_and_looked_at_before_it_runs(place: Path, tmp_path: Path) -> None:
    """The pods' own commands, run here: files that came whole pass, a changed one does not."""
    found = documents(place / "kubernetes")
    (kept,) = (each for each in found if each["kind"] == "ConfigMap")
    (job,) = (each for each in found if each["kind"] == "Job")
    spec = job["spec"]["template"]["spec"]
    (items,) = (volume["configMap"]["items"] for volume in spec["volumes"] if "configMap" in volume)
    given, copied = tmp_path / "given", tmp_path / "copied"
    for item in items:
        path = given / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(kept["binaryData"][item["key"]]))
    copied.mkdir()
    assert (given / "Order_desk.agent").read_text() == (place / "Order_desk.agent").read_text()
    (check,) = (each["command"][2] for each in spec["initContainers"] if each["name"] == "program")
    check = check.replace("/run/agentlang/program", str(given)).replace("/program/Order_desk", str(copied))
    assert subprocess.run(["sh", "-c", check], capture_output=True).returncode == 0
    with (given / "Order_desk.agent").open("a") as file:
        file.write("\n")
    assert subprocess.run(["sh", "-c", check], capture_output=True).returncode != 0


def test_containers_run_commands_that_there_are(place: Path) -> None:
    """Their words, as the commands' own parsers read them."""
    found = documents(place / "kubernetes")
    commands = [
        container["command"]
        for each in found
        if each["kind"] in ("Job", "StatefulSet")
        for container in each["spec"]["template"]["spec"]["containers"]
    ]
    assert {command[1] for command in commands} == {"run", "worker"}
    job = of(documents(place / "ray"), "RayJob", "order-desk")
    for _, name, *words in (*commands, job["spec"]["entrypoint"].split()):
        parser = Parser(prog=name)
        command = import_module(f"agentlang.cli.{name}")
        command.configure(parser)
        arguments = parser.parse_args(words)
        if name == "run":
            assert placed.usage(arguments) is None
        else:
            assert arguments.tier == "gpu"
    names = of(found, "Certificate", "order-desk-tls")["spec"]["dnsNames"]
    run = next(command for command in commands if command[1] == "run")
    workers = [word.partition("://")[2].rpartition(":")[0] for word in run if word.startswith("gpu=")]
    assert workers and set(workers) <= set(names)


@pytest.mark.parametrize(
    ("device", "devices", "slug"),
    [
        ("h100", 2, ""),
        ("h100", 16, "export-beyond-a-node"),
        ("tpu_v5e", 2, "export-shape"),
        ("tpu_v5e", 4, ""),
        ("abacus", 1, "export-unknown-device"),
    ],
)
def test_what_no_node_can_hold_is_refused_by_its_tier(device: str, devices: int, slug: str, place: Path) -> None:
    document = json.loads((place / "plan.json").read_text())
    for pool in document["pools"]:
        if pool["tier"] == "gpu":
            pool["devices"] = devices
    for tier in document["tiers"]:
        if tier["name"] == "gpu":
            tier["device"] = device
    plan = from_json(json.dumps(document))
    made = deployment_of(plan, About("order-desk", "image", Shipped.of("desk", "desk.agent", {"desk.agent": b""})))
    found = refusals(plan, made)
    assert [problem.slug for problem in found] == ([slug] if slug else [])
    assert all("gpu" in problem.title for problem in found)
    if not slug:
        files = kubernetes.manifests(made)
        for each in yaml.safe_load_all(files["tier-gpu.yaml"]):
            kubernetes_validate.validate(each, "1.37", strict=True)


def test_every_device_of_the_catalogue_is_known_to_kubernetes() -> None:
    assert [name for name in catalogue() if node_of(name) is None] == []


TEXTS = st.text(max_size=12) | st.sampled_from(
    ["yes", "No", "1e3", "0x1", "2026-11-24", "a: b", "- x", "#", " a", "~", "a\nb\n"]
)
PLAIN = st.recursive(
    TEXTS | st.integers(-9, 10**12) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, PLAIN, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_is_written_as_yaml_reads_back_as_it_was(value: dict[str, Any]) -> None:
    text = as_yaml([value, value], "a comment")
    assert list(yaml.safe_load_all(text)) == [value, value]


@pytest.mark.slow
def test_what_the_containers_run_gives_the_result(tmp_path: Path) -> None:
    """The commands of the manifests as processes here: hosts are this one, and folders those that are at hand."""
    (tmp_path / "desk.agent").write_text(DESK)
    folder = tmp_path / "out"
    assert main(["export", str(tmp_path / "desk.agent"), "--to", "kubernetes", "--out", str(folder)]) == 0
    assert main(["worker", "--issue", str(tmp_path / "papers"), "localhost"]) == 0
    (tmp_path / "input.json").write_text('{"question": "mail me at me@example.org"}')
    found = documents(folder)
    (run,) = of(found, "Job", "desk-coordinator")["spec"]["template"]["spec"]["containers"]
    (work,) = of(found, "StatefulSet", "desk-far")["spec"]["template"]["spec"]["containers"]
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    (shipped,) = (each["binaryData"] for each in found if each["kind"] == "ConfigMap")
    assert shipped
    there = {
        "$(POD_NAME).desk-far:7411": f"localhost:{port}",
        "desk-far-0.desk-far:7411": f"localhost:{port}",
        "/run/agentlang/papers": str(tmp_path / "papers" / "localhost"),
        "/run/agentlang/input": str(tmp_path),
        "/program/desk/plan.json": str(tmp_path / "plan.json"),
        "/program/desk": str(tmp_path),
    }
    items = of(found, "Job", "desk-coordinator")["spec"]["template"]["spec"]["volumes"]
    (plan,) = (
        base64.b64decode(shipped[item["key"]])
        for volume in items
        for item in volume.get("configMap", {}).get("items", ())
        if item["path"] == "plan.json"
    )
    (tmp_path / "plan.json").write_bytes(plan)

    def words(container: dict[str, Any]) -> list[str]:
        command = list(container["command"])
        for name, own in there.items():
            command = [word.replace(name, own) for word in command]
        return [COMMAND, *command[1:]]

    worker = subprocess.Popen(words(work), stderr=subprocess.PIPE, text=True)
    try:
        assert worker.stderr is not None
        assert "listens" in worker.stderr.readline()
        done = subprocess.run([*words(run), "--quiet"], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "mail me at [email]\n"), done.stderr
        worker.terminate()
        worker.wait(10)
    finally:
        worker.kill()
        worker.communicate()
