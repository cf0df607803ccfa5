"""Where boxes stand: layers from left to right, by what flows into what, for each box of boxes by itself.

The method is that of Sugiyama, Tagawa and Toda ("Methods for Visual Understanding of Hierarchical System Structures",
1981): longest-path layers, a point in every layer that a long edge crosses, a few sweeps that order each layer by the
middle of its neighbours, then heights that pull neighbours together. Boxes inside boxes are laid out first and then
count as one item; an edge that leaves its box does so through a port on the border.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from .picture import Box, Edge, Picture

CHARACTER = 7.0
LINE = 17.0
PADDING = 14.0
TITLE = 26.0
_GAP = 18.0
_THREAD = 12.0
_SWEEPS = 6


@dataclass(slots=True, eq=False)
class Item:
    """Something in a layer: a box (`box`), a port on the border or a point of a long edge (neither has one)."""

    key: str
    width: float
    height: float
    box: Box | None = None
    inside: Layout | None = None
    layer: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(slots=True)
class Thread:
    """One edge inside one box of boxes, as the items it goes through from left to right."""

    edge: int
    items: list[Item]
    label: str = ""


@dataclass(slots=True)
class Layout:
    """What one box of boxes holds. Positions are relative to its corner."""

    items: list[Item] = field(default_factory=list["Item"])
    threads: list[Thread] = field(default_factory=list["Thread"])
    width: float = 0.0
    height: float = 0.0
    ports: dict[tuple[str, bool], Item] = field(default_factory=dict[tuple[str, bool], "Item"])
    """By the box that an edge comes from, and whether it leaves: the edges of one box go through one port."""


def lay_out(picture: Picture) -> tuple[Layout, tuple[Edge, ...]]:
    """The layout of the whole picture, and its edges as drawn: those of one pair of boxes are one, with all names."""
    edges = _merged(picture.edges)
    paths: dict[str, tuple[str, ...]] = {}

    def find(boxes: tuple[Box, ...], above: tuple[str, ...]) -> None:
        for box in boxes:
            paths[box.id] = (*above, box.id)
            find(box.parts, paths[box.id])

    find(picture.boxes, ())
    return _box_of_boxes(picture.boxes, (), edges, paths), edges


def _merged(edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    together: dict[tuple[str, str, bool], list[Edge]] = {}
    for edge in edges:
        together.setdefault((edge.source, edge.target, edge.stream), []).append(edge)
    return tuple(
        Edge(source, target, ", ".join(dict.fromkeys(e.name for e in group if e.name)), group[0].type, stream)
        for (source, target, stream), group in together.items()
    )


def _box_of_boxes(
    boxes: tuple[Box, ...],
    above: tuple[str, ...],
    edges: tuple[Edge, ...],
    paths: dict[str, tuple[str, ...]],
    title: str = "",
) -> Layout:
    layout = Layout()
    by_id: dict[str, Item] = {}
    for box in boxes:
        inside = _box_of_boxes(box.parts, (*above, box.id), edges, paths, box.title) if box.parts else None
        width, height = _size(box, inside)
        by_id[box.id] = Item(box.id, width, height, box, inside)
    layout.items = list(by_id.values())
    depth = len(above)
    for number, edge in enumerate(edges):
        source, target = paths[edge.source], paths[edge.target]
        starts = by_id[source[depth]] if source[:depth] == above and len(source) > depth else None
        ends = by_id[target[depth]] if target[:depth] == above and len(target) > depth else None
        if starts is ends:
            continue  # it is elsewhere, or inside one of the boxes here
        label = _label(edge.source, edges) if starts is not None and starts.key == edge.source else ""
        if starts is None:
            starts = _port(layout, edge.source, False)
        if ends is None:
            ends = _port(layout, edge.source, True)
        known = next(
            (t for t in layout.threads if t.items == [starts, ends] and edges[t.edge].source == edge.source), None
        )
        if known is None:
            # What leaves a box is named once, where it leaves.
            named = any(thread.items[0] is starts and thread.label for thread in layout.threads)
            layout.threads.append(Thread(number, [starts, ends], "" if named else label))
    _place(layout, above, title)
    return layout


def _label(source: str, edges: tuple[Edge, ...]) -> str:
    """The names of what a box gives, two of them at most."""
    names = dict.fromkeys(n for edge in edges if edge.source == source for n in edge.name.split(", ") if n)
    return ", ".join([*names][:2]) + (" …" if len(names) > 2 else "")


def _port(layout: Layout, source: str, leaves: bool) -> Item:
    port = layout.ports.get((source, leaves))
    if port is None:
        port = layout.ports[source, leaves] = Item(f"{'out' if leaves else 'in'} {source}", 0.0, _THREAD)
        layout.items.append(port)
    return port


def _size(box: Box, inside: Layout | None) -> tuple[float, float]:
    lines = [text for text in (box.title, box.detail, f"on {box.tier}" if box.tier else "") if text]
    words = max((len(text) for text in lines), default=4) * CHARACTER + 2 * PADDING
    if inside is None:
        return max(words, 64.0), len(lines) * LINE + PADDING
    return inside.width, inside.height


def _place(layout: Layout, above: tuple[str, ...], title: str) -> None:
    _layers(layout)
    layers = _with_points(layout)
    beside: dict[int, list[Item]] = defaultdict(list)
    for thread in layout.threads:
        for left, right in zip(thread.items, thread.items[1:], strict=False):
            beside[id(left)].append(right)
            beside[id(right)].append(left)
    _order(layers, beside)
    _across(layout, layers, len(title) * CHARACTER + 2 * PADDING)
    _heights(layers, beside)
    top = min((item.y for layer in layers for item in layer), default=0.0)
    head = TITLE + 6.0 if above else PADDING
    for layer in layers:
        for item in layer:
            item.y += head - top
    layout.height = max((item.y + item.height for layer in layers for item in layer), default=0.0) + PADDING


def _layers(layout: Layout) -> None:
    """The longest path to each item; ports on the left come first, those on the right last."""
    entering = {id(item) for (_, leaves), item in layout.ports.items() if not leaves}
    leaving = {id(item) for (_, leaves), item in layout.ports.items() if leaves}
    for item in layout.items:
        item.layer = 0 if id(item) in entering or not entering else 1
    for _ in layout.items:
        moved = False
        for thread in layout.threads:
            left, right = thread.items[0], thread.items[-1]
            if right.layer <= left.layer:
                right.layer = left.layer + 1
                moved = True
        if not moved:
            break
    last = max((item.layer for item in layout.items if id(item) not in leaving), default=0)
    for item in layout.items:
        if id(item) in leaving:
            item.layer = last + 1
    # An input stands right before its first use, not at the far left.
    for item in reversed(layout.items):
        if item.box is not None and item.box.kind == "input" and id(item) not in entering:
            uses = [t.items[-1].layer for t in layout.threads if t.items[0] is item]
            item.layer = max(item.layer, min(uses, default=1) - 1)


def _with_points(layout: Layout) -> list[list[Item]]:
    count = max((item.layer for item in layout.items), default=0) + 1
    layers: list[list[Item]] = [[] for _ in range(count)]
    for item in layout.items:
        layers[item.layer].append(item)
    for thread in layout.threads:
        left, right = thread.items
        points = [
            Item(f"{thread.edge}@{layer}", 0.0, _THREAD, layer=layer) for layer in range(left.layer + 1, right.layer)
        ]
        for point in points:
            layers[point.layer].append(point)
        thread.items = [left, *points, right]
    return layers


def _order(layers: list[list[Item]], beside: dict[int, list[Item]]) -> None:
    place = {id(item): float(number) for layer in layers for number, item in enumerate(layer)}
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            side = -1 if sweep % 2 == 0 else 1
            middles: dict[int, float] = {}
            for item in layer:
                near = [n for n in beside[id(item)] if (n.layer - item.layer) * side > 0]
                middles[id(item)] = sum(place[id(n)] for n in near) / len(near) if near else place[id(item)]
            layer.sort(key=lambda item, middles=middles: middles[id(item)])
            for number, item in enumerate(layer):
                place[id(item)] = float(number)


def _across(layout: Layout, layers: list[list[Item]], least: float) -> None:
    x = PADDING
    for number, layer in enumerate(layers):
        width = max((item.width for item in layer), default=0.0)
        for item in layer:
            if item.box is None:
                item.x, item.width = x, width
            else:
                item.x = x + (width - item.width) / 2
        names = [
            len(thread.label) * CHARACTER * 0.86
            for thread in layout.threads
            if thread.label and thread.items[0].layer == number
        ]
        last = number == len(layers) - 1
        x += width + (0.0 if last else max([36.0, *(name + 26.0 for name in names)]))
    layout.width = max(x + PADDING, least)
    for (_, leaves), port in layout.ports.items():
        port.x, port.width = (layout.width if leaves else 0.0), 0.0


def _heights(layers: list[list[Item]], beside: dict[int, list[Item]]) -> None:
    for layer in layers:
        y = 0.0
        for item in layer:
            item.y = y
            y += item.height + _GAP
    for sweep in range(2 * _SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = [
                sum(n.middle for n in beside[id(item)]) / len(beside[id(item)]) - item.height / 2
                if beside[id(item)]
                else item.y
                for item in layer
            ]
            _spread(layer, wanted)


def _spread(layer: list[Item], wanted: list[float]) -> None:
    """As near to the wanted heights as the order and the gaps allow: groups that push each other move together (pool
    adjacent violators, the least-squares answer)."""
    groups: list[tuple[list[int], float]] = []
    offsets: list[float] = []
    at = 0.0
    for item in layer:
        offsets.append(at)
        at += item.height + _GAP
    for number in range(len(layer)):
        groups.append(([number], wanted[number] - offsets[number]))
        while len(groups) > 1 and groups[-2][1] > groups[-1][1]:
            last, before = groups.pop(), groups.pop()
            together = before[0] + last[0]
            mean = (before[1] * len(before[0]) + last[1] * len(last[0])) / len(together)
            groups.append((together, mean))
    for members, shift in groups:
        for number in members:
            layer[number].y = shift + offsets[number]
