"""A BERT of random weights, seeded, and a tokenizer of words for it: the code path of real encoders in a few kilobytes.

Words are hashed to nothing: the vocabulary is the letters, so any text has tokens of its own.
"""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from agentlang.stdlib.models.bert_config import BertConfig
from agentlang.stdlib.models.encoder import BertSource

MARKERS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
LETTERS = string.ascii_lowercase + string.digits + ".,`+=—?"
VOCABULARY = {word: number for number, word in enumerate([*MARKERS, *LETTERS, *(f"##{each}" for each in LETTERS)])}
CONFIG = BertConfig(layers=2, d_model=32, heads=4, ffn=48, vocab=len(VOCABULARY), context=64)


def tiny_bert(folder: Path, seed: int = 7) -> BertSource:
    """Writes the files into `folder`, unless they are there."""
    files = {"weights": folder / f"bert-{seed}.safetensors", "tokenizer": folder / "bert-tokenizer.json"}
    if not files["tokenizer"].exists():
        _write_tokenizer(files["tokenizer"])
    if not files["weights"].exists():
        save_file(tensors(CONFIG, seed), files["weights"])
    return BertSource(files, CONFIG, "tiny-bert", f"tiny {seed}")


def tensors(config: BertConfig, seed: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Tensors under the names of a published checkpoint."""
    random = np.random.default_rng(seed)
    d = config.d_model
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.vocab, d),
        "embeddings.position_embeddings.weight": (config.context, d),
        "embeddings.token_type_embeddings.weight": (2, d),
        "embeddings.LayerNorm.weight": (d,),
        "embeddings.LayerNorm.bias": (d,),
    }
    for number in range(config.layers):
        layer = f"encoder.layer.{number}."
        inner = {
            "attention.self.query": (d, d),
            "attention.self.key": (d, d),
            "attention.self.value": (d, d),
            "attention.output.dense": (d, d),
            "intermediate.dense": (config.ffn, d),
            "output.dense": (d, config.ffn),
        }
        for name, shape in inner.items():
            shapes |= {f"{layer}{name}.weight": shape, f"{layer}{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{layer}{name}.weight": (d,), f"{layer}{name}.bias": (d,)}
    return {name: random.standard_normal(shape, np.float32) * 0.5 for name, shape in shapes.items()}


def _write_tokenizer(file: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    made = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))  # pyright: ignore[reportCallIssue]
    made.normalizer = normalizers.BertNormalizer(lowercase=True)  # pyright: ignore[reportAttributeAccessIssue]
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # pyright: ignore[reportAttributeAccessIssue]
    made.save(str(file))
