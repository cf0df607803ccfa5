"""A model of ONNX Runtime: opened when first used, one run for each call, from any thread."""

# onnxruntime has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....base.problems import OutsideError
from ..problems import model_does_not_load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Two threads that do not spin: spinning ones double the time as soon as anything else runs.
_THREADS = 2


class Session:
    """A BERT-like file: tokens, which of them are real and which of two texts each belongs to; one output, logits."""

    def __init__(self, name: str, file: Path) -> None:
        self._name = name
        self._file = file

    def run(self, tokens: list[list[int]], types: list[list[int]] | None = None) -> NDArray[np.float32]:
        """The logits of windows of one length. Raises `OutsideError` (model-does-not-load)."""
        import numpy as np

        ids = np.array(tokens, dtype=np.int64)
        whole = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids) if types is None else np.array(types, dtype=np.int64),
        }
        session, takes, gives = self._opened
        try:
            return session.run([gives], {name: whole[name] for name in takes})[0]
        except Exception as error:  # the library has no common base for its errors
            raise OutsideError(model_does_not_load(self._name, f"{self._file.name} does not run: {error}")) from error

    def open(self) -> None:
        """Read the file now."""
        _ = self._opened

    def close(self) -> None:
        self.__dict__.pop("_opened", None)

    @cached_property
    def _opened(self) -> tuple[Any, tuple[str, ...], str]:
        """The session, the names of its inputs and that of its output."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _THREADS
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A file that does not load is told as a problem, and not on standard error as well.
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(str(self._file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library has no common base for its errors
            raise OutsideError(model_does_not_load(self._name, f"{self._file.name}: {error}")) from error
        takes = tuple(each.name for each in session.get_inputs())
        unknown = set(takes) - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown:
            raise OutsideError(
                model_does_not_load(self._name, f"{self._file.name} wants {', '.join(sorted(unknown))} as well")
            )
        return session, takes, session.get_outputs()[0].name
