"""The picture in Graphviz's language."""

from __future__ import annotations

from .picture import Box, Picture

_SHAPES = {"input": "oval", "output": "oval", "model": "box3d", "tool": "component"}


def dot(picture: Picture) -> str:
    """Left to right; streams are double lines. Edges from or to a cluster go to a box in it and end at its border."""
    clusters = {box.id: box for box in picture.walk() if box.parts}
    lines = [
        f"digraph {_quoted(picture.title)} {{",
        '  graph [rankdir=LR, compound=true, fontname="sans-serif"];',
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=10];',
    ]
    for box in picture.boxes:
        _box(box, lines, 1)
    for edge in picture.edges:
        attributes: list[str] = []
        if edge.name:
            attributes.append(f"label={_quoted(edge.name)}")
        if edge.stream:
            attributes.append('color="black:invis:black"')
        if edge.source in clusters:
            attributes.append(f"ltail={_quoted('cluster ' + edge.source)}")
        if edge.target in clusters:
            attributes.append(f"lhead={_quoted('cluster ' + edge.target)}")
        ends = [_first(clusters, end) for end in (edge.source, edge.target)]
        said = f" [{', '.join(attributes)}]" if attributes else ""
        lines.append(f"  {_quoted(ends[0])} -> {_quoted(ends[1])}{said};")
    return "\n".join([*lines, "}"]) + "\n"


def _first(clusters: dict[str, Box], id: str) -> str:
    while id in clusters:
        id = clusters[id].parts[0].id
    return id


def _box(box: Box, lines: list[str], depth: int) -> None:
    indent = "  " * depth
    if box.parts:
        lines.append(f"{indent}subgraph {_quoted('cluster ' + box.id)} {{")
        lines.append(f"{indent}  label={_quoted(box.title)}; style=rounded;")
        for part in box.parts:
            _box(part, lines, depth + 1)
        lines.append(f"{indent}}}")
        return
    said = [text for text in (box.title, box.detail, f"on {box.tier}" if box.tier else "") if text]
    shape = f", shape={_SHAPES[box.kind]}" if box.kind in _SHAPES else ""
    lines.append(f"{indent}{_quoted(box.id)} [label={_quoted(chr(10).join(said))}{shape}];")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
