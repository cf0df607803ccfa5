"""The picture as a Mermaid flow chart, which Markdown pages show as it is."""

from __future__ import annotations

from .picture import Box, Picture

_SHAPES = {"input": ("([", "])"), "output": ("([", "])"), "model": ("[[", "]]"), "tool": ("[/", "/]")}
_ENTITIES = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;", "\n": " "}


def mermaid(picture: Picture) -> str:
    """Left to right; streams are thick arrows."""
    names = {box.id: f"n{number}" for number, box in enumerate(picture.walk())}
    lines = ["flowchart LR"]
    for box in picture.boxes:
        _box(box, names, lines, 1)
    for edge in picture.edges:
        arrow = "==>" if edge.stream else "-->"
        label = f'|"{_quoted(edge.name)}"|' if edge.name else ""
        lines.append(f"  {names[edge.source]} {arrow}{label} {names[edge.target]}")
    for number, tier in enumerate(picture.tiers):
        inside = [names[box.id] for box in picture.walk() if box.tier == tier and not box.parts]
        if inside:
            lines.append(f"  classDef tier{number} stroke-width:3px")
            lines.append(f"  class {','.join(inside)} tier{number}")
    return "\n".join(lines) + "\n"


def _box(box: Box, names: dict[str, str], lines: list[str], depth: int) -> None:
    indent = "  " * depth
    if box.parts:
        lines.append(f'{indent}subgraph {names[box.id]}["{_quoted(box.title)}"]')
        for part in box.parts:
            _box(part, names, lines, depth + 1)
        lines.append(f"{indent}end")
        return
    left, right = _SHAPES.get(box.kind, ("[", "]"))
    said = [text for text in (box.title, box.detail, f"on {box.tier}" if box.tier else "") if text]
    text = "<br/>".join(_quoted(line) for line in said)
    lines.append(f'{indent}{names[box.id]}{left}"{text}"{right}')


def _quoted(text: str) -> str:
    return "".join(_ENTITIES.get(character, character) for character in text)
