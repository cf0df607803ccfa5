"""What is gained where prompts begin alike: a page, and several questions about it."""

from __future__ import annotations

from pathlib import Path

from .measuring import compare

HERE = Path(__file__).parent
QUESTIONS = (
    "How much may a hotel in Zurich cost?",
    "Until when must receipts be handed in?",
    "When is a taxi refunded?",
    "What is paid for a kilometre in a private car?",
    "How long may one work from Portugal?",
    "What is to be done when a laptop is lost?",
)


def main() -> None:
    page = (HERE / "page.txt").read_text("utf-8")
    compare("hoist_prefix", HERE / "questions.agent", "review", {"page": page, "questions": QUESTIONS})


if __name__ == "__main__":
    main()
