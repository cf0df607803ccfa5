"""What is true of modules whose models are spread over devices: laws for the table in `laws`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import _mlir
from .dialect.types import from_mlir
from .graph import KvType

if TYPE_CHECKING:
    from .laws import Held

Broken = Iterator[tuple[Any, str]]


def steps_sound(module: Held) -> Broken:
    """A step is of a declared model, its operations are ours and have ids, no two the same, and are on its devices."""
    handles = {each.attributes["name"].value for each in module.declarations if each.name == "agent.handle"}
    for step in (each for each in module.declarations if each.name == "agent.step"):
        given = _mlir.attributes_of(step)
        if given["model"] not in handles:
            yield step, f"{given['model']!r} is no declared handle"
        seen: set[str] = set()
        for operation in _mlir.walk(step):
            own = _mlir.attributes_of(operation)
            if not operation.name.startswith("agent."):
                yield operation, f"'{operation.name}' has no place in a step"
            elif "id" not in own:
                yield operation, f"'{operation.name}' has no stage id"
            elif own["id"] in seen:
                yield operation, f"two operations have the stage id {own['id']!r}"
            seen.add(own.get("id", ""))
            for device in (*own.get("group", ()), *((own["device"],) if "device" in own else ())):
                if device >= max(given["tensor"], given["expert"]):
                    yield operation, f"is on the device {device}, and the step has fewer"


def steps_resolve(module: Held) -> Broken:
    """A stage that names a step is spread as that is, and of the same model."""
    steps = {
        given["name"]: given
        for each in module.declarations
        if each.name == "agent.step"
        for given in (_mlir.attributes_of(each),)
    }
    for name in ("agent.prefill", "agent.decode"):
        for operation in module.inside.get(name, ()):
            if "step" not in operation.attributes:
                continue
            own = _mlir.attributes_of(operation)
            step = steps.get(own["step"])
            if step is None:
                yield operation, f"{own['step']!r} is no declared step"
                continue
            if (own.get("tensor", 1), own.get("expert", 1)) != (step["tensor"], step["expert"]):
                yield operation, f"it is not spread as the step {own['step']!r} is"
            types = [from_mlir(value.type) for value in (*operation.operands, *operation.results)]
            models = [given.model for given in types if isinstance(given, KvType)]
            if models and models[0] != step["model"]:
                yield operation, f"the step {own['step']!r} is of the model {step['model']!r}, not {models[0]!r}"


PARALLEL: tuple[tuple[str, Callable[[Held], Broken], str | None], ...] = (
    ("steps sound", steps_sound, None),
    ("steps resolve", steps_resolve, None),
)
