"""The XLA engine: loads chat models, on whatever device JAX finds.

Loading overlaps what can overlap: JAX and its backend start in one thread while another opens the tokenizer and, the
first time, prepares the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from ....base.problems import OutsideError
from ..families import Operation, TextModelSpec
from ..problems import model_does_not_load
from ..protocol import WHOLE, Capabilities, ChatModelSource, ChatTokenizer, ModelFacts, ModelSpec
from .together import together

if TYPE_CHECKING:
    from ..packaged import PackagedModel
    from ..speech.sources import TranscribingSpec
    from .encoder import XlaEncoder
    from .model import XlaModel
    from .paged.model import PagedModel
    from .transcribing import XlaRecognizer


class XlaEngine:
    """An `Engine`. `keep_programs` False compiles anew in each process and writes nothing.

    A model in shards runs on as many devices, where there are so many, and else on one. A model of `packages`, by its
    name, runs by the functions that came with it, for the positions they are made for. Both take one sequence after the
    other; all others run on pages of KV cache, which take at most `cache_bytes`, or a quarter of the memory that is
    available when they are loaded. What these make way for goes to `host_bytes` of ordinary memory and from there to
    `disk_bytes` of the disk, and comes back where that is faster than to compute it again (`paged.store`).
    """

    def __init__(
        self,
        keep_programs: bool = True,
        packages: Mapping[str, PackagedModel] | None = None,
        cache_bytes: float | None = None,
        host_bytes: float = 0.0,
        disk_bytes: float = 0.0,
    ) -> None:
        self._keep_programs = keep_programs
        self._packages = packages or {}
        self._cache_bytes = cache_bytes
        self._host_bytes, self._disk_bytes = host_bytes, disk_bytes

    @property
    def name(self) -> str:
        return "xla"

    @property
    def operations(self) -> frozenset[Operation]:
        return frozenset({Operation.CHAT, Operation.EMBED, Operation.TRANSCRIBE})

    async def load_embedding(self, spec: TextModelSpec) -> XlaEncoder:
        from .encoder import EncoderSource, XlaEncoder

        source = spec.source
        if not isinstance(source, EncoderSource):
            raise OutsideError(model_does_not_load(spec.name, "the engine 'xla' needs an encoder's functions"))

        def build() -> XlaEncoder:
            package = self._packages.get(spec.name)
            made = XlaEncoder(spec.name, source.key, source.functions(), package, self._keep_programs)
            made.open()
            return made

        return await anyio.to_thread.run_sync(build)

    async def load_transcribing(self, spec: TranscribingSpec) -> XlaRecognizer:
        from .transcribing import load

        return await load(spec, self._keep_programs)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            sequences_per_step=16,
            dtypes=("f32", "int8"),
            finds_prefixes=True,
            exact=False,
            spreads=True,
            logprobs=True,
        )

    async def load(self, spec: ModelSpec) -> XlaModel | PagedModel:
        source = spec.source
        if source is None:
            raise OutsideError(model_does_not_load(spec.name, "the XLA engine needs the model's files"))
        opened: list[tuple[ChatTokenizer, ModelFacts]] = []

        async def open_source() -> None:
            opened.append(await anyio.to_thread.run_sync(_open, source))

        async def start_backend() -> None:
            await anyio.to_thread.run_sync(_start_backend)

        await together(open_source, start_backend)
        tokenizer, facts = opened[0]

        def build() -> XlaModel | PagedModel:
            from .kept import kept_programs
            from .model import XlaModel
            from .paged.functions import PageableFunctions
            from .programs import Programs

            try:
                keep = kept_programs() if self._keep_programs else None
            except OSError:
                # A home that cannot be written costs each start a compilation, and no answer.
                keep = None
            package = self._packages.get(spec.name)
            if spec.spread != WHOLE:
                from .mesh import MeshPrograms
                from .shards import CannotSpread, ShardedSource, has_devices

                try:
                    if package is not None:
                        raise CannotSpread("the functions of its package are of the whole model")
                    divided = ShardedSource(source, spec.spread)
                except CannotSpread as error:
                    raise OutsideError(model_does_not_load(spec.name, f"it cannot be divided: {error}")) from error
                parts = divided.functions()
                made = MeshPrograms if has_devices(parts.parts) else Programs
                programs = made(divided.key, parts, keep)
                return XlaModel(facts, tokenizer, programs, divided.weights(), spec.context)
            if package is not None:
                from .packaged import open_programs

                weights = source.weights()
                programs = open_programs(spec.name, package, weights, keep)
                context = min(package.longest, spec.context or package.longest)
                return XlaModel(facts, tokenizer, programs, weights, context)
            functions = source.functions()
            rows = functions.on_pages() if isinstance(functions, PageableFunctions) else None
            if rows is not None:
                from .paged.opening import Away, open_paged

                away = Away(self._host_bytes, self._disk_bytes)
                own = self._cache_bytes
                return open_paged(source, functions, rows, facts, tokenizer, spec.context, keep, own, away)
            programs = Programs(source.key, functions, keep)
            return XlaModel(facts, tokenizer, programs, source.weights(), spec.context)

        return await anyio.to_thread.run_sync(build)


def _open(source: ChatModelSource) -> tuple[ChatTokenizer, ModelFacts]:
    return source.tokenizer(), source.facts()


def _start_backend() -> None:
    import jax

    jax.devices()  # pyright: ignore[reportUnknownMemberType]
