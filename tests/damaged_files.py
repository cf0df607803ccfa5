"""Files of models that are not what they say: by name what is wrong, and how to make it of a sound one."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

Damage = Callable[[bytes], bytes]


def change(at: bytes, form: str, value: int) -> Callable[[bytes], bytes]:
    """Overwrite the number behind a word of the file."""

    def changed(data: bytes) -> bytes:
        place = data.index(at) + len(at)
        size = struct.calcsize(form)
        return data[:place] + struct.pack(form, value) + data[place + size :]

    return changed


def field(name: bytes, value: int) -> Callable[[bytes], bytes]:
    """Overwrite a field of type u32."""
    return change(name + struct.pack("<I", 4), "<I", value)


def entry(data: bytes, tensor: bytes) -> int:
    """Where the type of a tensor stands in the header; its place follows."""
    start = data.index(tensor) + len(tensor)
    (dimensions,) = struct.unpack_from("<I", data, start)
    return start + 4 + 8 * int(dimensions)


def typed(data: bytes, tensor: bytes, kind: int) -> bytes:
    at = entry(data, tensor)
    return data[:at] + struct.pack("<I", kind) + data[at + 4 :]


def placed(data: bytes, tensor: bytes, place: int) -> bytes:
    at = entry(data, tensor) + 4
    return data[:at] + struct.pack("<Q", place) + data[at + 8 :]


def with_field(data: bytes, value: bytes, name: bytes = b"general.extra", kind: int = 9) -> bytes:
    """One field more, before all others."""
    (count,) = struct.unpack_from("<Q", data, 16)
    made = struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value
    return data[:16] + struct.pack("<Q", count + 1) + made + data[24:]


def twice(data: bytes, name: bytes) -> bytes:
    at = data.index(name) + len(name)
    return with_field(data, data[at + 4 : at + 8], name, 4)


GGUF: dict[str, Damage] = {
    "empty": lambda data: b"",
    "a few bytes": lambda data: data[:10],
    "no GGUF": lambda data: b"GGML" + data[4:],
    "another version": lambda data: data[:4] + struct.pack("<I", 99) + data[8:],
    "half": lambda data: data[: len(data) // 2],
    "all but the last byte": lambda data: data[:-1],
    "the header alone": lambda data: data[: data.index(b"token_embd.weight")],
    "2^60 tensors": lambda data: data[:8] + struct.pack("<Q", 1 << 60) + data[16:],
    "2^60 fields": lambda data: data[:16] + struct.pack("<Q", 1 << 60) + data[24:],
    "2^62 tokens": change(b"tokenizer.ggml.tokens" + struct.pack("<II", 9, 8), "<Q", 1 << 62),
    "a text of 2^63 bytes": change(b"general.architecture" + struct.pack("<I", 8), "<Q", 1 << 63),
    "a size that overflows": change(b"token_embd.weight" + struct.pack("<I", 2), "<Q", (1 << 63) + 4),
    "nine dimensions": change(b"token_embd.weight", "<I", 9),
    "no heads": field(b"llama.attention.head_count", 0),
    "2^31 heads": field(b"llama.attention.head_count", 1 << 31),
    "no layers": field(b"llama.block_count", 0),
    "2^31 layers": field(b"llama.block_count", 1 << 31),
    "three layers of two": field(b"llama.block_count", 3),
    "no context": field(b"llama.context_length", 0),
    "a tensor of another name": lambda data: data.replace(b"output_norm.weight", b"output_nork.weight"),
    "another architecture": lambda data: data.replace(b"\5\0\0\0\0\0\0\0llama", b"\5\0\0\0\0\0\0\0lamma", 1),
    "two tensors of one name": lambda data: data.replace(b"blk.1.ffn_up.weight", b"blk.0.ffn_up.weight", 1),
    "a field twice": lambda data: twice(data, b"llama.block_count"),
    "tensors in one another": lambda data: placed(data, b"blk.1.ffn_up.weight", 0),
    "a tensor of 2^60 bytes further": lambda data: placed(data, b"blk.1.ffn_up.weight", 1 << 60),
    "a tensor before the file": lambda data: placed(data, b"blk.1.ffn_up.weight", (1 << 64) - 32),
    "a place that is not aligned": lambda data: placed(data, b"blk.1.ffn_up.weight", 33),
    "an unknown type of tensor": lambda data: typed(data, b"blk.1.ffn_up.weight", 99),
    "a list in a list, and so on": lambda data: with_field(data, b"".join([struct.pack("<IQ", 9, 1)] * 2000)),
    "a list of 2^60 lists": lambda data: with_field(data, struct.pack("<IQ", 9, 1 << 60)),
    "five million texts": lambda data: with_field(data, struct.pack("<IQ", 8, 5_000_000) + bytes(40_000_000)),
    "a name that is no text": lambda data: data.replace(b"llama.block_count", b"llama.block_\xff\xfent", 1),
    "an architecture that is no text": lambda data: data.replace(b"\0\0\0\0llama", b"\0\0\0\0l\xffama", 1),
    "a token that is no text": lambda data: data.replace(b"<|im_end|>", b"<|im\xff\xfe|>", 1),
    "2^32 - 1 as its end": field(b"tokenizer.ggml.eos_token_id", (1 << 32) - 1),
    "more heads for keys than for queries": field(b"llama.attention.head_count_kv", 64),
    "a width that is none": field(b"llama.embedding_length", 65),
    "an alignment of three": lambda data: with_field(data, struct.pack("<I", 3), b"general.alignment", 4),
    "a template that never closes": lambda data: data.replace(b"{% for", b"{{ for", 1),
}


# --- folders in the form of Hugging Face ---

Harm = Callable[[Path], None]


def settings(**changes: Any) -> Harm:
    """Other figures in config.json."""

    def harm(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return harm


def text(name: str, content: str | bytes) -> Harm:
    def harm(folder: Path) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return harm


def header(change: Callable[[dict[str, Any]], object]) -> Harm:
    """Another header in the file of weights, of its own length."""

    def harm(folder: Path) -> None:
        path = folder / "model.safetensors"
        data = path.read_bytes()
        (size,) = struct.unpack_from("<Q", data)
        known = json.loads(data[8 : 8 + size])
        made = change(known)
        written = made if isinstance(made, bytes) else json.dumps(known).encode()
        path.write_bytes(struct.pack("<Q", len(written)) + written + data[8 + size :])

    return harm


def tensor(name: str, **changes: Any) -> Harm:
    return header(lambda known: known[name].update(changes))


def library(change: Callable[[dict[str, Any]], object]) -> Harm:
    """Another tokenizer.json."""

    def harm(folder: Path) -> None:
        path = folder / "tokenizer.json"
        known = json.loads(path.read_text())
        change(known)
        path.write_text(json.dumps(known))

    return harm


def weights(change: Damage) -> Harm:
    def harm(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(change(path.read_bytes()))

    return harm


def sparse(name: str, size: int) -> Harm:
    """A file of so many bytes that takes no room on the disk."""

    def harm(folder: Path) -> None:
        with (folder / name).open("wb") as file:
            file.write(b'{"a": "')
            file.truncate(size)

    return harm


def index(weight_map: object) -> Harm:
    return text("model.safetensors.index.json", json.dumps({"weight_map": weight_map}))


DEEP = "[" * 200_000
NORM, QUERY = "model.norm.weight", "model.layers.0.self_attn.q_proj.weight"
FOLDER: dict[str, Harm] = {
    "no settings": text("config.json", ""),
    "settings that are no object": text("config.json", "[1]"),
    "settings that are no text": text("config.json", b"\xff\xfe{}"),
    "settings nested deep": text("config.json", DEEP),
    "settings of eight gigabytes": sparse("config.json", 8 << 30),
    "2^60 layers": settings(num_hidden_layers=1 << 60),
    "5,000 layers of nothing": settings(num_hidden_layers=5000, hidden_size=2, intermediate_size=1, vocab_size=1),
    "no layers": settings(num_hidden_layers=0),
    "minus one head": settings(num_attention_heads=-1),
    "no heads": settings(num_attention_heads=0, head_dim=None),
    "2^60 words": settings(vocab_size=1 << 60),
    "10^400 words": settings(vocab_size=10**400),
    "infinitely many words": text(
        "config.json", '{"model_type": "llama", "num_attention_heads": 1e999, "hidden_size": 1}'
    ),
    "a base that is no number": settings(rope_theta=float("nan")),
    "scaling that is a list": settings(rope_scaling=[1, 2]),
    "an end that is a list of texts": settings(eos_token_id=["a"]),
    "no weights": weights(lambda data: b""),
    "a few bytes": weights(lambda data: data[:6]),
    "half": weights(lambda data: data[: len(data) // 2]),
    "all but the last byte": weights(lambda data: data[:-1]),
    "a byte more": weights(lambda data: data + b"x"),
    "a header of 2^60 bytes": weights(lambda data: struct.pack("<Q", 1 << 60) + data[8:]),
    "a header of 2^64 - 1 bytes": weights(lambda data: b"\xff" * 8 + data[8:]),
    "a header of the whole file": weights(lambda data: struct.pack("<Q", len(data) - 8) + data[8:]),
    "a header nested deep": header(lambda known: DEEP.encode()),
    "a header that is no text": header(lambda known: b'{"\xff\xfe": 1}'),
    "a header that is a list": header(lambda known: b"[1, 2]"),
    "a shape that overflows": tensor(NORM, shape=[1 << 62, 1 << 62]),
    "a shape of 2^60": tensor(NORM, shape=[1 << 60]),
    "a negative size": tensor(NORM, shape=[-1]),
    "a size that is half": tensor(NORM, shape=[0.5]),
    "100,000 dimensions": tensor(NORM, shape=[1] * 100_000),
    "another type": tensor(NORM, dtype="F64"),
    "a type that is none": tensor(NORM, dtype="X9"),
    "offsets outside": tensor(NORM, data_offsets=[1 << 60, (1 << 60) + 256]),
    "offsets the wrong way round": tensor(NORM, data_offsets=[256, 0]),
    "a tensor inside of another": tensor(NORM, data_offsets=[0, 256]),
    "a tensor less": header(lambda known: known.pop(NORM)),
    "two of one name": header(lambda known: json.dumps(known).replace(QUERY, NORM).encode()),
    "turned": tensor("model.layers.0.mlp.down_proj.weight", shape=[1]),
    "an index that leads elsewhere": index({NORM: "../../../etc/passwd"}),
    "an index of numbers": index({NORM: 3}),
    "an index that is a list": index([1]),
    "an index to a file that is not there": index({NORM: "other.safetensors"}),
    "no tokenizer": text("tokenizer.json", ""),
    "a tokenizer nested deep": text("tokenizer.json", DEEP),
    "a tokenizer of eight gigabytes": sparse("tokenizer.json", 8 << 30),
    "a tokenizer without a model": library(lambda known: known.pop("model")),
    "a tokenizer whose model is a number": library(lambda known: known.update(model=5)),
    "a vocabulary that is a list": library(lambda known: known["model"].update(vocab=[1, 2])),
    "an id that is negative": library(lambda known: known["model"]["vocab"].update(zz=-5)),
    "an id of 2^60": library(lambda known: known["model"]["vocab"].update(zz=1 << 60)),
    "a special token of id 2^200": library(
        lambda known: known["added_tokens"].append({"id": "x" * 99, "content": "<|x|>", "special": True})
    ),
    "added tokens that are none": library(lambda known: known.update(added_tokens=[1, "a", None])),
    "merges of what is not there": library(lambda known: known["model"].update(merges=[["qqq", "zzz"]])),
    "another decoder": library(lambda known: known.update(decoder={"type": "Magic"})),
    "settings of the tokenizer that are a list": text("tokenizer_config.json", "[]"),
    "a template that is a number": text("tokenizer_config.json", '{"chat_template": 5}'),
    "a template that never closes": text("tokenizer_config.json", json.dumps({"chat_template": "{{" * 30_000})),
    "a template of spaces": text("tokenizer_config.json", json.dumps({"chat_template": "{{" + " " * 60_000})),
    "a template of a megabyte": text("chat_template.jinja", "{% if a %}" * 100_000),
}


# --- ONNX ---


def number(value: int) -> bytes:
    found = bytearray()
    while value >= 128:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def part(field: int, content: bytes | int) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(content, int):
        return number(field << 3) + number(content)
    return number(field << 3 | 2) + number(len(content)) + content


def onnx(*parts: bytes) -> bytes:
    """A file whose graph has these parts."""
    return part(7, b"".join(parts))


def stored(name: bytes, shape: list[int], raw: bytes, kind: int = 1) -> bytes:
    return part(5, b"".join(part(1, size) for size in shape) + part(2, kind) + part(8, name) + part(9, raw))


SOUND_ONNX = onnx(stored(b"a", [2, 3], bytes(24)), stored(b"b", [], bytes(4)))
ONNX: dict[str, bytes] = {
    "empty": b"",
    "no protocol buffer": b"not a model",
    "cut": SOUND_ONNX[:-9],
    "a graph of 2^60 bytes": number(7 << 3 | 2) + number(1 << 60),
    "a length without an end": number(7 << 3 | 2) + b"\xff" * 20,
    "a graph that is a number": part(7, 5),
    "a field of no kind": onnx(b"\x0f"),
    "a shape that overflows": onnx(stored(b"a", [1 << 62, 1 << 62], bytes(24))),
    "a shape of nothing times 2^63": onnx(stored(b"a", [0, 1 << 63], b"")),
    "a negative size": onnx(stored(b"a", [(1 << 64) - 1, (1 << 64) - 24], bytes(24))),
    "fewer numbers than its shape": onnx(stored(b"a", [7], bytes(24))),
    "half a number": onnx(stored(b"a", [6], bytes(23))),
    "1,000 dimensions": onnx(stored(b"a", [1] * 1000, bytes(4))),
    "ten million dimensions": onnx(part(5, part(1, b"\1" * 10_000_000))),
    "ten million numbers": onnx(part(5, part(1, 1) + part(2, 7) + part(7, b"\1" * 10_000_000))),
    "two tensors of one name": onnx(stored(b"a", [1], bytes(4)), stored(b"a", [1], bytes(4))),
    "a name that is no text": onnx(stored(b"\xff\xfe", [1], bytes(4))),
    "100,000 tensors": onnx(*[stored(str(at).encode(), [0], b"") for at in range(100_000)]),
    "a node of 100,000 inputs": onnx(part(1, part(1, b"") * 100_000 + part(4, b"MatMulInteger"))),
}
