"""What is known of one file while it is checked: its names, the library's methods, and the problems so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from ...base.problems import Problem
from ...base.source import Source, Span
from .. import problems
from ..program import EnumDeclaration, RecordDeclaration, StageSignature
from ..syntax import Ident, Name
from ..syntax.walk import Node, walk
from . import prelude
from .symbols import Interface, ModuleSymbol, Symbol

if TYPE_CHECKING:
    from ..program import EnumCase, Parameter
    from .facts import Facts, Named
    from .files import Files
    from .symbols import Local

Library = Callable[[str], "Source | None"]

# Always in scope, in every file.
BUILTINS = ("all", "buffered", "len", "declassify", "secret", "python", "builtin", "endpoint", "catalog")
# Names compared to find suggestions in one file. Beyond that, so much is wrong that one more suggestion helps nobody.
MOST_COMPARED = 50_000
PART_OF_THE_LANGUAGE = "a part of the language, in scope in every file"
# Called with one value; all other builtins are refused where they are called.
CALLABLE_BUILTINS = ("all", "len")


class Context:
    """One file. `library` gives the interface source of a module; it and `files` are the only ways out of the file."""

    __slots__ = (
        *("_patience", "_problems", "broken", "cases", "enums", "facts", "flows", "interface", "interfaces"),
        *("files", "language", "library", "methods", "names", "prefix", "records", "source"),
        *("completing", "meant", "tier_names", "tiers", "top", "waiting"),
    )

    def __init__(
        self,
        source: Source,
        library: Library,
        interface: Interface | None = None,
        files: Files | None = None,
        prefix: str = "",
    ) -> None:
        self.source = source
        self.library = library
        # Set where the file is a library's: its types may be opaque.
        self.interface = interface
        # How other files of the program are had, where they can be.
        self.files = files
        # What is learned of each place of the text, where somebody wants to know.
        self.facts: Facts | None = files.facts if files is not None else None
        if self.facts is not None:
            self.facts.contexts[source.path] = self
        # What the names of this file begin with in the program: that of the module, or of the import.
        self.prefix = f"{interface.module}." if interface is not None else prefix
        self.names: dict[str, Symbol] = {}
        # What the language declares: found after the names of the file, none of which is called so.
        self.language = prelude.symbols()
        # By the name of the handle type, then of the method: its signatures, told apart by the first argument.
        self.methods: dict[str, dict[str, tuple[StageSignature, ...]]] = {}
        self.records: dict[str, RecordDeclaration] = {"Message": prelude.MESSAGE_DECLARATION}
        self.enums: dict[str, EnumDeclaration] = {"Role": prelude.ROLE_DECLARATION}
        # The enums that have a case of a name, for cases written without their enum. Names of the file come first.
        self.cases: dict[str, dict[str, EnumDeclaration]] = {}
        self.interfaces: dict[str, Interface] = {}
        # Of all fleets of the file, for what is placed on one.
        self.tiers: tuple[str, ...] = ()
        self.tier_names: tuple[Ident, ...] = ()
        # Where an import may be inserted: before the first declaration.
        self.top = 0
        # The modules that misspelt imports seem to mean, by the name that their uses would have.
        self.meant: list[tuple[str, Span]] = []
        # What gives a record or enum the defaults of its fields, until somebody has needed them; and whose turn it is.
        self.waiting: dict[str, Callable[[], None]] = {}
        self.completing: list[str] = []
        # For each pipeline checked so far, the parameters whose labels reach its result.
        self.flows: dict[str, frozenset[str] | None] = files.flows if files is not None else {}
        self._patience = MOST_COMPARED
        # Whether the parser had to make something up, so that no program can come of the file.
        self.broken = False
        self._problems: list[Problem] = []
        self.offer_cases(prelude.ROLE_DECLARATION)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self._problems)

    def report(self, problem: Problem) -> None:
        """Note a problem, unless it is about a name without letters: the parser made that up to go on, and said so."""
        if "``" in problem.title:
            self.broken = True
            return
        self._problems.append(problem)

    def mark(self) -> int:
        """How many problems there are so far."""
        return len(self._problems)

    def rewind(self, mark: int) -> None:
        """Forget the problems since `mark`, because their place is checked again."""
        del self._problems[mark:]

    def note(
        self, span: Span, thing: Symbol | Local | Parameter | StageSignature | EnumCase | Named, owner: str = ""
    ) -> None:
        """Say what the word at `span` stands for, to whoever keeps facts."""
        if self.facts is not None:
            self.facts.note(span, thing, owner)

    def note_tier(self, word: Ident) -> None:
        """The same of a word that names a tier: the first of that name in the file."""
        if self.facts is not None:
            from .facts import Named

            first = next((tier.span for tier in self.tier_names if tier.text == word.text), word.span)
            self.facts.note(word.span, Named("tier", word.text, first), "")

    def keyword(self, word: str, before: Span, end: Span) -> Span:
        """The place of a keyword: the last before `before`, up to the end of `end`; the tree has no span of its own."""
        start = self.source.text.rfind(word, 0, before.start)
        return self.source.span(start, end.end) if start >= 0 else before

    def use_all(self, node: Node) -> None:
        """Count every name inside as used, for a part that is not looked into."""
        for name in words(node):
            if symbol := self.names.get(name):
                symbol.used = True

    def offer_cases(self, declaration: EnumDeclaration) -> None:
        """Let the cases of an enum be written without it. A second time, its declaration is renewed."""
        for case in declaration.cases:
            known = self.cases.setdefault(case.name, {})
            known.pop(declaration.name, None)
            known[declaration.name] = declaration

    def use(self, name: str) -> Symbol | None:
        symbol = self.names.get(name) or self.language.get(name)
        if symbol is not None:
            symbol.used = True
        return symbol

    def complete(self, name: str, span: Span) -> bool:
        """Make sure that the defaults of a type are known, before a value of it is built at `span`: defaults and
        constants may be values of types that stand further down. False, after a report, where it is made of itself."""
        if name in self.completing:
            hint = "write this default out, or leave it away"
            self.report(problems.recursion(f"a default of `{name}` is made from `{name}` itself", span, hint))
            return False
        if name in self.waiting:
            self.completing.append(name)
            self.waiting.pop(name)()
            self.completing.pop()
        return True

    def qualified(self, name: str) -> str:
        """What the program calls a declaration of this file."""
        return f"{self.prefix}{name}"

    def nearest(self, name: str, known: Iterable[str]) -> str | None:
        """One suggestion, which then counts as used: a misspelt use is a use."""
        candidates = list(known) if self._patience > 0 else []
        self._patience -= len(candidates)
        from ...base.suggest import suggest

        suggestion = suggest(name, candidates)
        if suggestion is not None:
            self.use(suggestion)
        return suggestion

    def bind(self, symbol: Symbol) -> bool:
        """Bind a name of the file. False, with a problem, if it is taken; the first keeps it."""
        if symbol.name in BUILTINS or symbol.name in prelude.TYPE_NAMES:
            hint = "choose another name"
            self.report(problems.bound_twice(symbol.name, symbol.span, None, PART_OF_THE_LANGUAGE, hint))
            return False
        first = self.names.get(symbol.name)
        self.note(symbol.span, symbol if first is None else first)
        if first is not None:
            self.report(
                problems.bound_twice(
                    symbol.name, symbol.span, first.span, first.what, "give one of the two another name"
                )
            )
            return False
        if symbol.qualified == symbol.name:
            symbol.qualified = self.qualified(symbol.name)
        self.names[symbol.name] = symbol
        return True

    def modules_with(self, member: str) -> Iterator[tuple[str, ModuleSymbol]]:
        """The imported modules that have a member of that name."""
        for name, symbol in self.names.items():
            if isinstance(symbol, ModuleSymbol) and symbol.interface and member in symbol.interface.names:
                yield name, symbol


def words(node: Node) -> Iterator[str]:
    """Every word inside a part of the tree that may be the use of a name."""
    for part in walk(node):
        if isinstance(part, Name | Ident):
            yield part.text
