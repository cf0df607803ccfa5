"""llama.cpp by its own C interface (`llama.h`), as the wheel of `xllamacpp` carries it.

The binding itself offers whole completions; the library inside exports the interface that those are made of, in which
prompt, step and logits are apart. Only what runs in the worker process imports this: a damaged file or an error deep
in the library ends that process, never ours.

Structures of the interface grow between versions, so as few of their fields as possible are named here. Parameters come
from the library's own defaults, a few at places that `load_library` checks before use; the rest is set by functions.
"""

from __future__ import annotations

import ctypes as c
import struct
from collections import deque
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from .pace import Pace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HEAD = struct.Struct("<IIII")
_HEAD_DEFAULTS = (512, 2048, 512, 1)  # n_ctx, n_batch, n_ubatch, n_seq_max
_FLAGS, _FLAG_DEFAULTS = slice(136, 142), b"\0\1\1\1\1\0"
_EMBEDDINGS, _UNIFIED = 136, 141
_NO_ROOM = 1
_WARM = 32  # positions
_LOG_ERROR = 4


class UnusableLibrary(Exception):
    """llama.cpp is not there, or is of a version that is not known. The text says which."""


class DoesNotLoad(Exception):
    """The library refused a file, or there is no memory for it. The text is its own last words."""


class StepFailed(Exception):
    """A step went wrong in the library."""


class _Parameters(c.Structure):
    """Room for a structure of parameters, larger than any of them; passed by value, what is behind it is not read."""

    _fields_ = (("words", c.c_uint64 * 64),)


class _Batch(c.Structure):
    _fields_ = (
        ("n_tokens", c.c_int32),
        ("token", c.POINTER(c.c_int32)),
        ("embd", c.POINTER(c.c_float)),
        ("pos", c.POINTER(c.c_int32)),
        ("n_seq_id", c.POINTER(c.c_int32)),
        ("seq_id", c.POINTER(c.POINTER(c.c_int32))),
        ("logits", c.POINTER(c.c_int8)),
    )


_Pointer = c.c_void_p
_LogCallback = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_backend_init": (None, ()),
    "llama_log_set": (None, (_LogCallback, _Pointer)),
    "llama_model_default_params": (_Parameters, ()),
    "llama_context_default_params": (_Parameters, ()),
    "llama_model_load_from_file": (_Pointer, (c.c_char_p, _Parameters)),
    "llama_model_free": (None, (_Pointer,)),
    "llama_model_get_vocab": (_Pointer, (_Pointer,)),
    "llama_model_n_ctx_train": (c.c_int32, (_Pointer,)),
    "llama_model_n_embd": (c.c_int32, (_Pointer,)),
    "llama_model_size": (c.c_uint64, (_Pointer,)),
    "llama_model_has_encoder": (c.c_bool, (_Pointer,)),
    "llama_init_from_model": (_Pointer, (_Pointer, _Parameters)),
    "llama_free": (None, (_Pointer,)),
    "llama_n_ctx": (c.c_uint32, (_Pointer,)),
    "llama_n_ctx_seq": (c.c_uint32, (_Pointer,)),
    "llama_n_seq_max": (c.c_uint32, (_Pointer,)),
    "llama_set_n_threads": (None, (_Pointer, c.c_int32, c.c_int32)),
    "llama_get_memory": (_Pointer, (_Pointer,)),
    "llama_memory_seq_rm": (c.c_bool, (_Pointer, c.c_int32, c.c_int32, c.c_int32)),
    "llama_memory_seq_cp": (None, (_Pointer, c.c_int32, c.c_int32, c.c_int32, c.c_int32)),
    "llama_decode": (c.c_int32, (_Pointer, _Batch)),
    "llama_get_logits_ith": (c.POINTER(c.c_float), (_Pointer, c.c_int32)),
    "llama_state_seq_get_size": (c.c_size_t, (_Pointer, c.c_int32)),
    "llama_state_seq_get_data": (c.c_size_t, (_Pointer, c.c_void_p, c.c_size_t, c.c_int32)),
    "llama_state_seq_set_data": (c.c_size_t, (_Pointer, c.c_void_p, c.c_size_t, c.c_int32)),
    "llama_vocab_n_tokens": (c.c_int32, (_Pointer,)),
    "llama_vocab_is_eog": (c.c_bool, (_Pointer, c.c_int32)),
    "llama_vocab_is_control": (c.c_bool, (_Pointer, c.c_int32)),
    "llama_token_to_piece": (c.c_int32, (_Pointer, c.c_int32, c.c_char_p, c.c_int32, c.c_int32, c.c_bool)),
    "llama_tokenize": (
        c.c_int32,
        (_Pointer, c.c_char_p, c.c_int32, c.POINTER(c.c_int32), c.c_int32, c.c_bool, c.c_bool),
    ),
}


class Library:
    """The functions of `llama.h`. `last_words` are the errors that the library told of last."""

    def __init__(self, shared: Any) -> None:
        self.last_words: deque[str] = deque(maxlen=4)
        for name, (result, arguments) in _FUNCTIONS.items():
            try:
                function = getattr(shared, name)
            except AttributeError:
                raise UnusableLibrary(f"this version of llama.cpp has no {name}") from None
            function.restype, function.argtypes = result, arguments
        self.call = shared
        # Kept, or the library would call what is gone.
        self._log = _LogCallback(self._said)
        shared.llama_log_set(self._log, None)
        shared.llama_backend_init()

    def _said(self, level: int, text: bytes, data: object) -> None:
        del data
        if level == _LOG_ERROR:
            self.last_words.append(text.decode("utf-8", "replace").strip())


def load_library() -> Library:
    """llama.cpp in this process. Raises `UnusableLibrary` where it is missing, or laid out in another way."""
    found = find_spec("xllamacpp")
    if found is None or found.origin is None:
        raise UnusableLibrary("xllamacpp is not installed")
    files = sorted(Path(found.origin).parent.glob("xllamacpp*.so"))
    if not files:
        raise UnusableLibrary("xllamacpp has no shared library on this system")
    library = Library(c.CDLL(str(files[0])))
    defaults = bytes(library.call.llama_context_default_params())
    if _HEAD.unpack_from(defaults) != _HEAD_DEFAULTS or defaults[_FLAGS] != _FLAG_DEFAULTS:
        raise UnusableLibrary("this version of llama.cpp lays out its parameters in a way that is not known")
    return library


class NativeModel:
    """A model and one context for `slots` sequences, which share `positions` places of the KV cache.

    All methods block, and are called from one thread.
    """

    def __init__(
        self, library: Library, path: Path, context: int | None, positions: int | None, slots: int, threads: int
    ) -> None:
        self._library = library
        call = self._call = library.call
        self._model = call.llama_model_load_from_file(str(path).encode(), call.llama_model_default_params())
        if not self._model:
            raise DoesNotLoad("; ".join(library.last_words) or "llama.cpp gave no reason")
        if call.llama_model_has_encoder(self._model):
            raise DoesNotLoad("it has an encoder, and chat models that only decode run")
        self.vocabulary_handle = call.llama_model_get_vocab(self._model)
        self.vocabulary = int(call.llama_vocab_n_tokens(self.vocabulary_handle))
        trained = int(call.llama_model_n_ctx_train(self._model))
        self.context = min(context or trained, trained)
        self.positions = max(positions or self.context, self.context)
        self.batch = 512
        parameters = call.llama_context_default_params()
        memory = (c.c_char * c.sizeof(parameters)).from_buffer(parameters)
        _HEAD.pack_into(memory, 0, self.positions, self.batch, self.batch, slots)
        memory[_UNIFIED] = b"\1"
        self._context = call.llama_init_from_model(self._model, parameters)
        if not self._context:
            raise DoesNotLoad("; ".join(library.last_words) or "there is no memory for its cache")
        if call.llama_n_ctx_seq(self._context) < self.context or call.llama_n_seq_max(self._context) != slots:
            raise UnusableLibrary("this version of llama.cpp does not take its parameters as they are known")
        self.positions = int(call.llama_n_ctx(self._context))
        self.slots = slots
        self._memory = call.llama_get_memory(self._context)
        self._pace = Pace(threads, lambda count: call.llama_set_n_threads(self._context, count, count))
        room = max(self.batch, slots)
        self._tokens, self._places = (c.c_int32 * room)(), (c.c_int32 * room)()
        self._counts, self._wanted = (c.c_int32 * room)(*[1] * room), (c.c_int8 * room)()
        self._slots = (c.c_int32 * room)()
        step = c.sizeof(c.c_int32)
        pointers = [c.cast(c.addressof(self._slots) + step * i, c.POINTER(c.c_int32)) for i in range(room)]
        self._slot_pointers = (c.POINTER(c.c_int32) * room)(*pointers)

    def warm_up(self) -> int:
        """Some steps of one token, which load what is loaded late. Returns the bytes of a position in the cache."""
        sizes: list[int] = []

        def step() -> None:
            self.step([(0, len(sizes), 0, True)])
            sizes.append(int(self._call.llama_state_seq_get_size(self._context, 0)))

        step()
        step()
        if self.context >= _WARM:
            self._pace.try_out(step)
        self.forget(0)
        return sizes[1] - sizes[0]

    @property
    def weight_bytes(self) -> int:
        return int(self._call.llama_model_size(self._model))

    def step(self, items: Sequence[tuple[int, int, int, bool]]) -> bool:
        """One step for `items`, each a token, its position, its slot, and whether logits behind it are wanted.

        False, and nothing is done, if the cache has no room for them. Raises `StepFailed`.
        """
        for i, (token, position, slot, wanted) in enumerate(items):
            self._tokens[i], self._places[i], self._slots[i] = token, position, slot
            self._wanted[i] = wanted
        batch = _Batch(len(items), self._tokens, None, self._places, self._counts, self._slot_pointers, self._wanted)
        began = perf_counter()
        said = int(self._call.llama_decode(self._context, batch))
        self._pace.after(len(items), perf_counter() - began)
        if said == _NO_ROOM:
            return False
        if said != 0:
            raise StepFailed("; ".join(self._library.last_words) or f"llama_decode gave {said}")
        return True

    def logits(self, item: int) -> NDArray[np.float32]:
        """A view of the logits `[vocabulary]` behind item `item` of the last step, which the next step overwrites."""
        import numpy as np

        found = self._call.llama_get_logits_ith(self._context, item)
        if not found:
            raise StepFailed(f"item {item} of the step has no logits")
        return np.ctypeslib.as_array(found, (self.vocabulary,))

    def forget(self, slot: int, start: int = 0) -> bool:
        """Give up the cache of a slot from position `start` on. False if a model's cache cannot be cut there."""
        return bool(self._call.llama_memory_seq_rm(self._memory, slot, start, -1))

    def share(self, source: int, slot: int, count: int) -> None:
        """Let `slot` begin with the first `count` positions of `source`. Nothing is copied."""
        self._call.llama_memory_seq_cp(self._memory, source, slot, 0, count)

    def size(self, slot: int) -> int:
        """The bytes that `taken` would give."""
        return int(self._call.llama_state_seq_get_size(self._context, slot))

    def taken(self, slot: int) -> bytes:
        """The cache of a slot as bytes that `put` takes, in the library's own form."""
        size = self.size(slot)
        buffer = c.create_string_buffer(size)
        written = int(self._call.llama_state_seq_get_data(self._context, buffer, size, slot))
        if written == 0:
            raise StepFailed("the cache of a sequence cannot be taken out")
        return buffer.raw[:written]

    def put(self, slot: int, state: bytes) -> bool:
        """Fill an empty slot with what `taken` gave. False if there is no room, or the bytes are none of this model."""
        return int(self._call.llama_state_seq_set_data(self._context, state, len(state), slot)) == len(state)

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; none for markup."""
        if self._call.llama_vocab_is_control(self.vocabulary_handle, token):
            return b""
        buffer = c.create_string_buffer(64)
        while True:
            size = int(self._call.llama_token_to_piece(self.vocabulary_handle, token, buffer, len(buffer), 0, False))
            if size >= 0:
                return buffer.raw[:size]
            buffer = c.create_string_buffer(-size)

    def ends(self) -> frozenset[int]:
        """The tokens that end a reply."""
        is_end = self._call.llama_vocab_is_eog
        return frozenset(token for token in range(self.vocabulary) if is_end(self.vocabulary_handle, token))

    def tokens(self, text: str, special: bool) -> tuple[int, ...]:
        """Token ids of `text`; markup counts as such only if `special`."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 2
        while True:
            buffer = (c.c_int32 * room)()
            count = int(
                self._call.llama_tokenize(self.vocabulary_handle, data, len(data), buffer, room, False, special)
            )
            if count >= 0:
                return tuple(cast("Sequence[int]", buffer[:count]))
            room = -count

    def close(self) -> None:
        if self._context:
            self._call.llama_free(self._context)
            self._context = None
        if self._model:
            self._call.llama_model_free(self._model)
            self._model = None
