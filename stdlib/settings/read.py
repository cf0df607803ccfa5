"""From the text of `agentlang.toml` to `Settings`, with every problem of the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from ...base import units
from ...base.problems import Problem, Problems
from ...base.source import Source, Span
from ...base.suggest import suggest
from ...executor.routing import POLICIES, Policy
from . import problems
from .values import EndpointSettings, ModelSettings, SecretName, ServerSettings, Settings, ToolSettings

FILE = "agentlang.toml"
_T = TypeVar("_T")
_AMOUNT = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]+)")
# What a key looks like that somebody pasted instead of its name.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")


def find(folder: Path) -> Path | None:
    """The settings of the program in `folder`: the file there or in the nearest folder above it, as far as the top of
    its repository (a folder with `.git`) or of the disk."""
    try:
        start = folder.resolve()
    except OSError:
        return None
    for place in (start, *start.parents):
        if (place / FILE).is_file():
            return place / FILE
        if (place / ".git").exists():
            return None
    return None


def read(source: Source, profile: str | None = None) -> tuple[Settings, Problems]:
    """The settings of one text, with the parts of `profile` put over the rest. All problems, not the first."""
    import tomllib

    try:
        table = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        return Settings(source), (problems.not_toml(_place_of(source, str(error)), str(error)),)
    reader = _Reader(source)
    profiles = reader.tables(table.pop("profiles", {}), "profiles")
    if profile is not None:
        if profile not in profiles:
            reader.found.append(problems.unknown_profile(source.path, profile, tuple(profiles)))
        table = _over(table, profiles.get(profile, {}))
    # Profiles that were not asked for are checked too, or their faults would show on the day they are needed.
    for name, other in profiles.items():
        if name != profile:
            reader.settings(other, None, f"profiles.{name}")
    return reader.settings(table, profile, ""), tuple(dict.fromkeys(reader.found))


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` put over `below`, table by table."""
    out = dict(below)
    for key, value in above.items():
        under = out.get(key)
        both = isinstance(value, dict) and isinstance(under, dict)
        out[key] = _over(cast("dict[str, Any]", under), cast("dict[str, Any]", value)) if both else value
    return out


class _Reader:
    """Takes tables apart; what does not fit becomes a problem at its key, and its default."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Problem] = []

    def settings(self, table: Mapping[str, Any], profile: str | None, path: str) -> Settings:
        self._known(table, ("models", "servers", "endpoints", "tools"), path)
        at = f"{path}." if path else ""
        return Settings(
            self.source,
            profile,
            self._each(table, "models", at, self._model),
            self._each(table, "servers", at, self._server),
            self._each(table, "endpoints", at, self._endpoint),
            self._tools(self._table(table.get("tools", {}), f"{at}tools"), f"{at}tools"),
        )

    def tables(self, value: object, path: str) -> dict[str, dict[str, Any]]:
        return {name: self._table(inner, f"{path}.{name}") for name, inner in self._table(value, path).items()}

    # --- parts -------------------------------------------------------------------------------------------------------

    def _model(self, table: Mapping[str, Any], path: str) -> ModelSettings | None:
        self._known(table, ("use", "engine", "instances", "routing", "cache"), path)
        use = self._text(table, "use", path)
        engine = self._text(table, "engine", path) if "engine" in table else None
        instances = self._count(table, "instances", path)
        routing = cast("Policy", self._one_of(table, "routing", POLICIES, path))
        cache = self._table(table.get("cache", {}), f"{path}.cache")
        self._known(cache, ("memory", "disk"), f"{path}.cache")
        memory = self._amount(cache, "memory", units.BYTESIZE, "1 GiB", f"{path}.cache") or 0.0
        disk = self._amount(cache, "disk", units.BYTESIZE, "4 GiB", f"{path}.cache") or 0.0
        return ModelSettings(use, engine, instances, routing, memory, disk) if use is not None else None

    def _count(self, table: Mapping[str, Any], key: str, path: str) -> int:
        """A whole number of at least 1, which it is where nothing is said."""
        value = cast("object", table.get(key, 1))
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            return value
        return self._wrong(f"{path}.{key}", "a whole number from 1 on", value, 1)

    def _server(self, table: Mapping[str, Any], path: str) -> ServerSettings:
        self._known(table, ("command", "env"), path)
        return ServerSettings(self._texts(table, "command", path), self._variables(table, path))

    def _variables(self, table: Mapping[str, Any], path: str) -> dict[str, str | SecretName]:
        env = self._table(table.get("env", {}), f"{path}.env")
        read = {name: self._secret_or_text(value, f"{path}.env.{name}") for name, value in env.items()}
        return {name: value for name, value in read.items() if value is not None}

    def _endpoint(self, table: Mapping[str, Any], path: str) -> EndpointSettings | None:
        self._known(table, ("url", "key", "api", "schemas"), path)
        if "url" not in table:
            self.found.append(problems.missing_key(path, "url", self._place(path)))
            return None
        url = self._secret_or_text(table["url"], f"{path}.url")
        key = self._secret(table["key"], f"{path}.key") if "key" in table else None
        api = self._one_of(table, "api", ("chat", "completions"), path)
        schemas = self._one_of(table, "schemas", ("response_format", "tools"), path)
        return EndpointSettings(url, key, api, schemas) if url is not None else None

    def _tools(self, table: Mapping[str, Any], path: str) -> ToolSettings:
        self._known(table, ("allow", "env", "memory", "timeout"), path)
        return ToolSettings(
            self._texts(table, "allow", path),
            self._amount(table, "memory", units.BYTESIZE, "1 GiB", path),
            self._amount(table, "timeout", units.DURATION, "30 s", path),
            self._variables(table, path),
        )

    # --- values ------------------------------------------------------------------------------------------------------

    def _each(
        self, table: Mapping[str, Any], key: str, at: str, make: Callable[[Mapping[str, Any], str], _T | None]
    ) -> dict[str, _T]:
        made = {
            name: make(inner, f"{at}{key}.{name}")
            for name, inner in self.tables(table.get(key, {}), f"{at}{key}").items()
        }
        return {name: value for name, value in made.items() if value is not None}

    def _known(self, table: Mapping[str, Any], known: tuple[str, ...], path: str) -> None:
        for key in table:
            if key not in known:
                where = f"{path}.{key}" if path else key
                words = (*known, "profiles") if not path else known
                self.found.append(problems.unknown_key(where, suggest(key, words), words, self._place(where)))

    def _table(self, value: object, path: str) -> dict[str, Any]:
        return cast("dict[str, Any]", value) if isinstance(value, dict) else self._wrong(path, "a table", value, {})

    def _text(self, table: Mapping[str, Any], key: str, path: str) -> str | None:
        where = f"{path}.{key}"
        if key not in table:
            self.found.append(problems.missing_key(path, key, self._place(path)))
            return None
        value = table[key]
        return value if isinstance(value, str) and value else self._wrong(where, "a text", value, None)

    def _one_of(self, table: Mapping[str, Any], key: str, words: tuple[str, ...], path: str) -> str:
        """One of some words; the first of them where nothing is said."""
        value = cast("object", table.get(key, words[0]))
        if isinstance(value, str) and value in words:
            return value
        return self._wrong(f"{path}.{key}", " or ".join(f'"{word}"' for word in words), value, words[0])

    def _texts(self, table: Mapping[str, Any], key: str, path: str) -> tuple[str, ...]:
        value = cast("object", table.get(key, []))
        items = _items(value)
        if items is None or not all(isinstance(item, str) for item in items):
            return self._wrong(f"{path}.{key}", "a list of texts", value, ())
        return tuple(cast("list[str]", items))

    def _secret(self, value: object, path: str) -> SecretName | None:
        table: dict[str, object] = self._plain(value)
        if set(table) == {"secret"}:
            name = table["secret"]
            if isinstance(name, str) and _NAME.fullmatch(name):
                return SecretName(name)
        # The value may be the secret itself: it is not repeated.
        self.found.append(problems.secret_written_out(path, self._place(path)))
        return None

    @staticmethod
    def _plain(value: object) -> dict[str, object]:
        return cast("dict[str, object]", value) if isinstance(value, dict) else {}

    def _secret_or_text(self, value: object, path: str) -> str | SecretName | None:
        if isinstance(value, dict):
            return self._secret(cast("object", value), path)
        return value if isinstance(value, str) else self._wrong(path, "a text or { secret = … }", value, None)

    def _amount(
        self, table: Mapping[str, Any], key: str, dimension: units.Dimension, example: str, path: str
    ) -> float | None:
        if key not in table:
            return None
        value = cast("object", table[key])
        read = _AMOUNT.fullmatch(value.strip()) if isinstance(value, str) else None
        if read is not None and read[2] in units.UNITS:
            found = units.quantity(float(read[1].replace("_", "")), read[2])
            if found.dimension == dimension and found.value > 0:
                return found.value
        return self._wrong(f"{path}.{key}", f'an amount such as "{example}"', value, None)

    def _wrong(self, path: str, wanted: str, value: object, default: _T) -> _T:
        self.found.append(problems.wrong_setting(path, wanted, type(value).__name__, self._place(path)))
        return default

    def _place(self, path: str) -> Span:
        """Where a key stands, found by its words: TOML readers keep no places."""
        words = path.split(".")
        text = self.source.text
        for count in range(len(words), 0, -1):
            header = re.search(rf"^\s*\[\s*{_dotted(words[:count])}\s*\]", text, re.MULTILINE)
            start = header.end() if header else 0
            if count < len(words):
                key = re.compile(rf"(?:^|[{{,\[])\s*({_quotable(words[count])})\s*[.=]", re.MULTILINE)
                found = key.search(text, start)
                if found is not None and (header or count == 1):
                    return self.source.span(found.start(1), found.end(1))
            if header:
                return self.source.span(header.start() + len(header[0]) - len(header[0].lstrip()), header.end())
        found = re.search(rf"^\s*({_quotable(words[0])})\s*[.=]", text, re.MULTILINE)
        return self.source.span(found.start(1), found.end(1)) if found else self.source.span(0, 0)


def _items(value: object) -> list[object] | None:
    return cast("list[object]", value) if isinstance(value, list) else None


def _dotted(words: list[str]) -> str:
    return r"\s*\.\s*".join(_quotable(word) for word in words)


def _quotable(word: str) -> str:
    return rf"[\"']?{re.escape(word)}[\"']?"


def _place_of(source: Source, message: str) -> Span:
    found = re.search(r"at line (\d+), column (\d+)", message)
    if found is None:
        end = len(source.text)
        return source.span(end, end)
    start = source.line_starts[min(int(found[1]), len(source.line_starts)) - 1] + int(found[2]) - 1
    start = min(start, len(source.text))
    return source.span(start, min(start + 1, len(source.text)))
