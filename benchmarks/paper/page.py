"""Parts of a page that a command writes: what stands between the markers of a name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping


def filled(page: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """The page with these parts anew. Raises `ValueError` where a part has no markers."""
    for name, made in parts.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
        if not pattern.search(page):
            raise ValueError(f"the page has no markers {begin} and {end}")
        new = f"{begin}\n\n{made()}\n\n{end}"
        page = pattern.sub(lambda _, new=new: new, page)
    return page
