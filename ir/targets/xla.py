"""What the XLA targets share. XLA's own executables cannot be shipped (loading one unpickles it), so what is shipped is
the StableHLO itself, once it was read. A target says by name where JAX's plug-in for its hardware is missing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from ...base.problems import Problems
from . import target_problems as problems
from .protocol import STABLEHLO, Built


@dataclass(frozen=True, slots=True)
class XlaTarget:
    """A platform of JAX. `plugins` are the modules that bring it; none where JAX has it by itself."""

    name: str
    about: str
    platform: str
    plugins: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()

    @property
    def builder(self) -> str:
        return "stablehlo"

    @property
    def present(self) -> bool:
        """Whether JAX here can compile for it."""
        return find_spec("jax") is not None and (
            not self.plugins or any(_importable(plugin) for plugin in self.plugins)
        )

    def build(self, function: bytes, name: str, variant: str = "") -> tuple[Built | None, Problems]:
        from .. import _mlir

        del variant
        _mlir.context()  # what fails there is no fault of the function
        try:
            inputs, outputs = _signature(function)
        except ValueError as error:
            return None, (problems.target_failed(name, self.name, f"it is no StableHLO that can be read ({error})"),)
        checks = (("arguments", str(inputs)), ("results", str(outputs)))
        if self.present:
            return Built(function, STABLEHLO, (*checks, ("compiler", f"jax {_version('jax')}"))), ()
        note = f"JAX's plug-in for {self.name} is not here: StableHLO is shipped, and compiled where it runs"
        return Built(function, STABLEHLO, checks, note), ()


def _signature(function: bytes) -> tuple[int, int]:
    """How many arguments and results the function has. ValueError if the bytes are no portable artifact."""
    from .. import _mlir

    with _mlir.working() as context:
        module = _mlir.stablehlo().deserialize_portable_artifact(context, function).operation
        for operation in _mlir.operations(_mlir.body(module)):
            if operation.name == "func.func" and operation.attributes["sym_name"].value == "main":
                kind = operation.attributes["function_type"].value
                return len(kind.inputs), len(kind.results)
    raise ValueError("it has no function 'main'")


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"
