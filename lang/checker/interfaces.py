"""Interface files of the library: parsed and checked once per process, by content."""

from __future__ import annotations

from ...base.problems import in_order
from ...base.source import Source
from .context import Context, Library
from .symbols import Interface, ModuleSymbol

# (module, path, text) of an interface to what it offers; the modules it imports are compared on each use.
_known: dict[tuple[str, str, str], Interface] = {}


def load(module: str, library: Library, loading: tuple[str, ...] = ()) -> Interface | None:
    """What `module` (as in `std/llm`) offers, or None where the library has no such module.

    A module that imports itself, directly or not, gets None where the circle closes.
    """
    source = library(module) if module not in loading else None
    if source is None:
        return None
    key = (module, source.path, source.text)
    known = _known.get(key)
    loading = (*loading, module)
    if known is not None and all(load(name, library, loading) is i for name, i in known.imports.items()):
        return known
    _known[key] = interface = _read(module, source, library, loading)
    return interface


def _read(module: str, source: Source, library: Library, loading: tuple[str, ...]) -> Interface:
    from ..parser import parse
    from .declarations import declare

    interface = Interface(module.rsplit("/", 1)[-1], source)
    file, problems = parse(source)
    context = Context(source, lambda name: None if name in loading else library(name), interface)
    declare(context, file)
    interface.names = {n: s for n, s in context.names.items() if not isinstance(s, ModuleSymbol)}
    interface.imports = context.interfaces
    own = f"{interface.module}."
    interface.methods = {name: found for name, found in context.methods.items() if name.startswith(own)}
    interface.records = {name: record for name, record in context.records.items() if name.startswith(own)}
    interface.enums = {name: enum for name, enum in context.enums.items() if name.startswith(own)}
    interface.problems = in_order((*problems, *context.problems))
    return interface
