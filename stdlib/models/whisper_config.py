"""The figures of a Whisper model, and its weights out of a CTranslate2 file. Knows no JAX.

Sources: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", and the reference code
that was published with it. Widths are read off the tensors themselves, so that they cannot contradict them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

from .checkpoint import DamagedFile
from .ctranslate2_file import CTranslate2File

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .whisper import DecoderLayer, EncoderLayer, Weights

RATE = 16_000
"""Samples a second of what it hears."""
HOP = 160
"""Samples from one column of features to the next."""
WINDOW = 30 * RATE
"""Samples of one window: a model hears 30 s at a time, filled up with silence."""
POSITION_SECONDS = 0.02
"""What a position of the encoder spans, and a timestamp counts in."""

_GELU = 3
_WIDEST, _DEEPEST, _LARGEST = 4096, 128, 1 << 20


@dataclass(frozen=True, slots=True)
class WhisperConfig:
    """Layers and widths. `mels` bands of features in; `positions` of the encoder; `context` tokens of the decoder."""

    mels: int
    d_model: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    ffn: int
    vocab: int
    positions: int
    context: int

    @property
    def frames(self) -> int:
        """Columns of features in a window."""
        return 2 * self.positions


def read_config(file: CTranslate2File) -> WhisperConfig:
    """What the tensors say. Raises `DamagedFile` where they are of no Whisper model that is understood."""
    if file.kind != "WhisperSpec":
        raise DamagedFile(f"it holds a model of the kind {file.kind!r}, not of Whisper")
    shapes = file.shapes

    def shape(name: str, axes: int) -> tuple[int, ...]:
        found = shapes.get(name, ())
        if len(found) != axes or not all(0 < size <= _LARGEST for size in found):
            raise DamagedFile(f"{name} is missing or has the shape {found}")
        return found

    def layers(part: str) -> int:
        found = sum(1 for _ in takewhile(lambda n: f"{part}/layer_{n}/ffn/linear_0/bias" in shapes, count()))
        if not 0 < found <= _DEEPEST:
            raise DamagedFile(f"it has {found} layers of the {part}")
        return found

    vocab, d_model = shape("decoder/embeddings/weight", 2)
    positions, _ = shape("encoder/position_encodings/encodings", 2)
    context, _ = shape("decoder/position_encodings/encodings", 2)
    heads = file.number("encoder/num_heads")
    if d_model > _WIDEST or not 0 < heads <= d_model or d_model % heads or file.number("decoder/num_heads") != heads:
        raise DamagedFile(f"{heads} heads do not share a width of {d_model}")
    if positions * 2 * HOP != WINDOW:
        raise DamagedFile(f"{positions} positions of the encoder are not a window of 30 s")
    for part in ("encoder", "decoder"):
        if f"{part}/activation" in shapes and file.number(f"{part}/activation") != _GELU:
            raise DamagedFile(f"the {part} has another activation than GELU")
    return WhisperConfig(
        mels=shape("encoder/conv1/weight", 3)[1],
        d_model=d_model,
        heads=heads,
        encoder_layers=layers("encoder"),
        decoder_layers=layers("decoder"),
        ffn=shape("encoder/layer_0/ffn/linear_0/bias", 1)[0],
        vocab=vocab,
        positions=positions,
        context=context,
    )


def read_weights(file: CTranslate2File, config: WhisperConfig) -> Weights:
    """The weights as `whisper` takes them, in f32. Raises `DamagedFile`."""
    return assemble(config, file.tensor)


def assemble(config: WhisperConfig, tensor: Callable[..., NDArray[Any]]) -> Weights:
    """Weights in the form that `whisper` takes, from `tensor(name, *shape)` in the file's own form."""
    import numpy as np

    from .whisper import Attention, Decoder, DecoderLayer, Encoder, EncoderLayer, FeedForward, Weights

    d, ffn = config.d_model, config.ffn

    def plain(name: str, *shape: int) -> NDArray[Any]:
        return np.asarray(tensor(name, *shape), dtype=np.float32)

    def matrix(name: str, wide: int, deep: int) -> tuple[NDArray[Any], NDArray[Any]]:
        turned = np.ascontiguousarray(np.asarray(tensor(f"{name}/weight", wide, deep)).T, dtype=np.float32)
        return turned, plain(f"{name}/bias", wide)

    def norm(name: str) -> NDArray[Any]:
        return np.stack([plain(f"{name}/layer_norm/gamma", d), plain(f"{name}/layer_norm/beta", d)])

    def attention(name: str) -> Attention:
        return Attention(norm(name), *matrix(f"{name}/linear_0", 3 * d, d), *matrix(f"{name}/linear_1", d, d))

    def feed_forward(name: str) -> FeedForward:
        return FeedForward(norm(name), *matrix(f"{name}/linear_0", ffn, d), *matrix(f"{name}/linear_1", d, ffn))

    def encoder_layer(name: str) -> EncoderLayer:
        return EncoderLayer(attention(f"{name}/self_attention"), feed_forward(f"{name}/ffn"))

    def decoder_layer(name: str) -> DecoderLayer:
        cross = f"{name}/attention"
        query, query_bias = matrix(f"{cross}/linear_0", d, d)
        both, both_bias = matrix(f"{cross}/linear_1", 2 * d, d)
        return DecoderLayer(
            own=attention(f"{name}/self_attention"),
            heard_norm=norm(cross),
            query=query,
            query_bias=query_bias,
            key_value=both,
            key_value_bias=both_bias,
            out=matrix(f"{cross}/linear_2", d, d)[0],
            out_bias=plain(f"{cross}/linear_2/bias", d),
            feed_forward=feed_forward(f"{name}/ffn"),
        )

    def convolution(name: str, channels: int) -> tuple[NDArray[Any], NDArray[Any]]:
        weight = np.asarray(tensor(f"{name}/weight", d, channels, 3))
        # [out, in, 3] becomes [3 in, out]: a convolution is then one matrix product.
        return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(3 * channels, d), dtype=np.float32), plain(
            f"{name}/bias", d
        )

    first, first_bias = convolution("encoder/conv1", config.mels)
    second, second_bias = convolution("encoder/conv2", d)
    encoder = Encoder(
        first=first,
        first_bias=first_bias,
        second=second,
        second_bias=second_bias,
        positions=plain("encoder/position_encodings/encodings", config.positions, d),
        layers=tuple(encoder_layer(f"encoder/layer_{n}") for n in range(config.encoder_layers)),
        norm=norm("encoder"),
    )
    words = np.asarray(tensor("decoder/embeddings/weight", config.vocab, d))
    decoder = Decoder(
        words=np.ascontiguousarray(words.T, dtype=np.float32),
        positions=plain("decoder/position_encodings/encodings", config.context, d),
        layers=tuple(decoder_layer(f"decoder/layer_{n}") for n in range(config.decoder_layers)),
        norm=norm("decoder"),
    )
    return Weights(encoder, decoder)
