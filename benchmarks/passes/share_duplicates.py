"""What is gained where two pipelines ask the same: the gist of a page, for its title and beside it."""

from __future__ import annotations

from .hoist_prefix import HERE, QUESTIONS
from .measuring import compare


def main() -> None:
    page = (HERE / "page.txt").read_text("utf-8")
    compare("share_duplicates", HERE / "questions.agent", "review", {"page": page, "questions": QUESTIONS[:2]})


if __name__ == "__main__":
    main()
