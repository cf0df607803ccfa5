"""Transformers on PyTorch, asked as the engines are (`worker.py`): requests and answers are lines of JSON.

Runs in an environment of its own (`make bench-engines`), so it imports nothing of agentlang. Prompts of a batch have
one length, so none is padded; tokens are the likeliest ones, chosen without anything around the model (`generate` does
more); the cache is the library's usual one.

    python torch_peer.py FOLDER float32|bfloat16
    python torch_peer.py FOLDER bfloat16 --save OUT     # the weights in that form, in a folder of their own
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicCache


class Peer:
    def __init__(self, folder: str, kind: str) -> None:
        began = time.perf_counter()
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, kind))
        self.model = model.eval()
        self.loaded = time.perf_counter() - began

    def fill(self, prompts: list[list[int]]) -> tuple[Any, Any]:
        """The cache, and the first token of each reply."""
        cache = DynamicCache(config=self.model.config)
        return cache, self._step(torch.tensor(prompts), cache)

    def _step(self, tokens: Any, cache: Any) -> Any:
        out = self.model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.logits[:, -1].argmax(-1, keepdim=True)

    def first(self, prompt: list[int]) -> dict[str, Any]:
        began = time.perf_counter()
        _, token = self.fill([prompt])
        token.tolist()
        took = time.perf_counter() - began
        return {"fill": took, "first": took}

    def serve(self, prompts: list[list[int]], tokens: int) -> dict[str, Any]:
        began = time.perf_counter()
        cache, token = self.fill(prompts)
        token.tolist()
        filled = time.perf_counter()
        for _ in range(tokens - 1):
            token = self._step(token, cache)
            token.tolist()  # whoever waits for it has it
        made = (tokens - 1) * len(prompts)
        return {"fill": filled - began, "decode": time.perf_counter() - filled, "made": made}

    def reply(self, prompt: list[int], tokens: int) -> dict[str, Any]:
        cache, token = self.fill([prompt])
        found = [int(token)]
        while len(found) < tokens:
            token = self._step(token, cache)
            found.append(int(token))
        return {"tokens": found}

    def about(self) -> dict[str, Any]:
        lines = Path("/proc/self/status").read_text().splitlines()
        memory = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
        return {"load": self.loaded, "memory": memory, "with": f"PyTorch {torch.__version__}"}


@torch.inference_mode()
def main() -> None:
    folder, kind, *more = sys.argv[1:]
    peer = Peer(folder, kind)
    if more:
        peer.model.save_pretrained(more[1])
        return
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(peer.about()), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = getattr(peer, asked.pop("do"))(**asked)
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
