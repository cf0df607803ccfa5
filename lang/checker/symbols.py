"""What the names of a file stand for.

Plain classes with slots: they live for one check, are filled in steps (a signature before a body), and cost nothing to
define at start-up, which generated dataclasses do.
"""

from __future__ import annotations

from copy import copy
from typing import ClassVar, TypeVar

from ...base.problems import Problem
from ...base.source import Source, Span
from ..program import (
    NO_LABELS,
    Agent,
    EnumCase,
    EnumDeclaration,
    Expression,
    Labels,
    Literal,
    Parameter,
    RecordDeclaration,
    StageSignature,
)
from ..syntax import AgentDecl, LetDecl, PipelineDecl, ToolDecl
from ..types import EnumType, HandleType, Primitive, RecordType, Type

# The type of what could not be checked. It fits everywhere, so that one fault is reported once; a program that holds
# it has an error and never leaves the checker.
UNKNOWN = Primitive("?")
_S = TypeVar("_S", bound="Symbol")


class Symbol:
    """A name of the file and where it was bound. `qualified` is what the program calls it: with the name of the file
    that declares it, where that is an imported one."""

    __slots__ = ("name", "qualified", "span", "used")
    # How messages call it, with its article.
    kind: ClassVar[str] = "a name"

    def __init__(self, name: str, span: Span) -> None:
        self.name = name
        self.qualified = name
        self.span = span
        self.used = False

    @property
    def what(self) -> str:
        return self.kind


def renamed(symbol: _S, name: str, span: Span) -> _S:
    """The same thing under the name that an import gives it."""
    own = copy(symbol)
    own.name, own.span, own.used = name, span, False
    return own


class ModuleSymbol(Symbol):
    """`interface` is None for a module that could not be had: everything it seems to hold is `UNKNOWN`."""

    __slots__ = ("interface",)
    kind = "an imported module"

    def __init__(self, name: str, span: Span, interface: Interface | None) -> None:
        super().__init__(name, span)
        self.interface = interface


class StageSymbol(Symbol):
    """A stage of a library or of the file. A library may give one name several signatures, told apart by the type of
    the first argument."""

    __slots__ = ("signatures",)
    kind = "a stage"

    def __init__(self, name: str, span: Span, *signatures: StageSignature) -> None:
        super().__init__(name, span)
        self.signatures = signatures

    @property
    def signature(self) -> StageSignature:
        return self.signatures[0]


class ToolSymbol(Symbol):
    """A tool of the file. `signature` is None where the declaration has a fault that leaves nothing to call; uses are
    then silent. One of a server takes the server as its first parameter, `self`, and names it in `signature.server`."""

    __slots__ = ("declaration", "signature")
    kind = "a tool"

    def __init__(self, name: str, span: Span, declaration: ToolDecl | None = None) -> None:
        super().__init__(name, span)
        self.declaration = declaration
        self.signature: StageSignature | None = None


class RecordSymbol(Symbol):
    """`declaration` follows once all type names are known."""

    __slots__ = ("declaration", "type")
    kind = "a record type"

    def __init__(self, name: str, span: Span, type: RecordType) -> None:
        super().__init__(name, span)
        self.type = type
        self.declaration = RecordDeclaration(type.name, (), span)


class EnumSymbol(Symbol):
    """`declaration` follows once all type names are known."""

    __slots__ = ("declaration", "type")
    kind = "an enum"

    def __init__(self, name: str, span: Span, type: EnumType) -> None:
        super().__init__(name, span)
        self.type = type
        self.declaration = EnumDeclaration(type.name, (), span)

    def case(self, name: str) -> EnumCase | None:
        return next((case for case in self.declaration.cases if case.name == name), None)


class HandleTypeSymbol(Symbol):
    __slots__ = ("type",)
    kind = "a type of handle"

    def __init__(self, name: str, span: Span, type: HandleType) -> None:
        super().__init__(name, span)
        self.type = type


class HandleSymbol(Symbol):
    """A declared model, resource, memory or server; its type is `UNKNOWN` where its constructor is."""

    __slots__ = ("keyword", "type")

    def __init__(self, name: str, span: Span, keyword: str, type: Type = UNKNOWN) -> None:
        super().__init__(name, span)
        self.keyword = keyword
        self.type = type

    @property
    def what(self) -> str:
        return f"a {self.keyword}"


class ConstantSymbol(Symbol):
    """`let`: evaluated when first asked for, so that constants may stand in any order."""

    __slots__ = ("busy", "declaration", "done", "literal")
    kind = "a constant"

    def __init__(self, name: str, span: Span, declaration: LetDecl) -> None:
        super().__init__(name, span)
        self.declaration = declaration
        self.literal: Literal | None = None
        self.busy = False
        self.done = False


class PipelineSymbol(Symbol):
    """A pipeline, or the one that an agent stands for (`agent`).

    `flows` are the parameters whose labels reach the result, `labels` those that its body adds; both are known once
    the body is checked, which happens after those of all pipelines it calls.
    """

    __slots__ = (
        *("agent", "declaration", "facts", "flows", "labels", "locals", "parameters", "result", "result_labels"),
        "sound",
    )
    kind = "a pipeline"

    def __init__(self, name: str, span: Span, declaration: PipelineDecl, agent: AgentDecl | None = None) -> None:
        super().__init__(name, span)
        self.declaration = declaration
        self.agent = agent
        # Of an agent: what its loop was made of.
        self.facts: Agent | None = None
        # Whether there is a body to check: an agent with a fault has none.
        self.sound = True
        self.parameters: tuple[Parameter, ...] = ()
        self.result: Type = UNKNOWN
        self.result_labels: Labels = NO_LABELS
        self.labels: Labels = NO_LABELS
        self.flows: frozenset[str] | None = None
        self.locals: dict[str, Local] = {}

    @property
    def what(self) -> str:
        return "an agent" if self.agent is not None else self.kind


class UncheckedSymbol(Symbol):
    """A declaration of which nothing could be known: its uses are silent."""

    __slots__ = ("declared_as",)

    def __init__(self, name: str, span: Span, declared_as: str) -> None:
        super().__init__(name, span)
        self.declared_as = declared_as

    @property
    def what(self) -> str:
        return f"{'an' if self.declared_as[0] in 'aei' else 'a'} {self.declared_as}"


class Local:
    """A parameter, binding or loop variable. `visible` ends with the block that binds it."""

    __slots__ = ("kind", "labels", "name", "span", "type", "used", "value", "visible")

    def __init__(
        self, name: str, span: Span, kind: str, type: Type, labels: Labels, value: Expression | None = None
    ) -> None:
        self.name = name
        self.span = span
        self.kind = kind
        self.type = type
        self.labels = labels
        self.value = value
        self.used = False
        self.visible = True


class Interface:
    """What a module of the library, or an imported file, offers: its names, the methods of its handle types, and what
    it imports in turn."""

    __slots__ = ("enums", "imports", "methods", "module", "names", "problems", "records", "source")

    def __init__(self, module: str, source: Source) -> None:
        self.module = module
        self.source = source
        self.names: dict[str, Symbol] = {}
        self.methods: dict[str, dict[str, tuple[StageSignature, ...]]] = {}
        self.records: dict[str, RecordDeclaration] = {}
        self.enums: dict[str, EnumDeclaration] = {}
        self.imports: dict[str, Interface] = {}
        self.problems: tuple[Problem, ...] = ()
