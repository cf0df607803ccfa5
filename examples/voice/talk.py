"""Talk to the companion with recordings, at the pace of a conversation.

    python examples/voice/talk.py clip.wav other.wav            # the second when the first was answered
    python examples/voice/talk.py clip.wav other.wav --interrupt 1   # the second over the answer, after a second of it

A microphone gives sound as fast as time passes, and a loudspeaker takes it as fast; files do neither. So this runs
`agentlang run voice.agent:companion microphone=@- --out -` as a process, speaks the recordings into it with silence
around them, listens to what comes out, and says what happened when.
"""

from __future__ import annotations

import argparse
import fcntl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from agentlang.base.audio import Audio, wav, whole

RATE = 16_000
STEP = 0.05
"""Seconds of sound that are given, and taken, at once."""
QUIET = 0.6
"""Seconds without sound after which the companion is said to be silent."""
_PIPE_SIZE = 1031  # Linux: F_SETPIPE_SZ
_SMALL = 4096


@dataclass
class Speaker:
    """A loudspeaker: takes sound as fast as it is heard. `spoken` has what was heard, answer by answer."""

    pipe: IO[bytes]
    began: float
    spoken: list[bytes] = field(default_factory=list)
    last: float = 0.0
    over: bool = False

    @property
    def speaking(self) -> bool:
        return bool(self.spoken) and time.monotonic() - self.last < QUIET

    def listen(self) -> None:
        """Until the pipe ends. Blocks."""
        while data := self.pipe.read(int(STEP * RATE) * 2):
            if not self.speaking:
                self.spoken.append(b"")
                say(self.began, "companion: speaks")
            self.spoken[-1] += data
            self.last = time.monotonic()
            time.sleep(len(data) / 2 / RATE)
        self.over = True


def main() -> int:
    parser = argparse.ArgumentParser(description="Talk to the companion with recordings.")
    parser.add_argument("clips", nargs="+", type=Path, help="WAV files of 16,000 samples a second")
    parser.add_argument("--interrupt", type=float, metavar="SECONDS", help="speak over each answer after so long")
    parser.add_argument("--patience", type=float, default=40.0, help="seconds to wait for an answer")
    parser.add_argument("--out", type=Path, help="keep what the companion said as WAV files: NAME-1.wav, NAME-2.wav, …")
    parser.add_argument(
        "--program", default="voice.agent", help="apart.agent: hears, thinks and speaks in three processes"
    )
    given = parser.parse_args()
    program = Path(__file__).with_name(given.program)
    start = "from agentlang.cli.start import main; raise SystemExit(main())"
    asked = ["run", f"{program}:companion", "microphone=@-", "--out", "-", "--quiet"]
    if given.program == "apart.agent":
        asked += ["--on", "processes"]
    process = subprocess.Popen(
        [sys.executable, "-c", start, *asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    if sys.platform == "linux":
        # What lies in a pipe is heard late: a small one is a loudspeaker that stops at once.
        fcntl.fcntl(process.stdout, _PIPE_SIZE, _SMALL)
    began = time.monotonic()
    speaker = Speaker(process.stdout, began)
    listening = threading.Thread(target=speaker.listen, daemon=True)
    listening.start()
    try:
        for data in conversation(given, speaker, began):
            process.stdin.write(data)
            time.sleep(len(data) / 2 / RATE)
        process.stdin.close()
        listening.join(given.patience)
    finally:
        process.kill()
        process.wait()
    for number, pcm in enumerate(speaker.spoken, 1):
        print(f"answer {number}: {len(pcm) / 2 / RATE:.1f} s were heard")
        if given.out is not None:
            name = given.out.with_name(f"{given.out.stem}-{number}.wav")
            name.write_bytes(wav((Audio(pcm, RATE),)))
    return 0 if speaker.spoken else 1


def conversation(given: argparse.Namespace, speaker: Speaker, began: float) -> Iterator[bytes]:
    """What the microphone hears, step by step: recordings, and silence while the companion thinks and speaks."""
    for number, clip in enumerate(given.clips):
        sound = whole(clip.read_bytes())
        if sound.rate != RATE:
            raise SystemExit(f"{clip} has {sound.rate} samples a second, not {RATE}")
        say(began, f"you: {clip.name}, {sound.seconds:.1f} s")
        answers = len(speaker.spoken)
        yield from steps(sound.pcm)
        last = number + 1 == len(given.clips)
        waited = time.monotonic()
        while time.monotonic() - waited < given.patience:
            yield bytes(int(STEP * RATE) * 2)
            if len(speaker.spoken) == answers:
                continue
            heard = len(speaker.spoken[-1]) / 2 / RATE
            if not last and given.interrupt is not None and heard >= given.interrupt:
                say(began, f"you: speak over it, after {heard:.1f} s of its answer")
                break
            if not speaker.speaking:
                say(began, f"companion: was heard for {heard:.1f} s")
                break


def steps(pcm: bytes) -> Iterator[bytes]:
    size = int(STEP * RATE) * 2
    for at in range(0, len(pcm), size):
        yield pcm[at : at + size]


def say(began: float, what: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
