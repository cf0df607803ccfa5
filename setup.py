"""Maps the top-level folders to packages under `agentlang.*`.

The folders keep the short names that the architecture gives them; installed under those names
(`ir`, `planner`, `executor`) they would shadow a user's own modules. Found, not listed: a static list
silently drops new sub-packages from the wheel.
"""

from setuptools import find_packages, setup

TOPS = ["base", "lang", "ir", "planner", "executor", "stdlib", "services", "cli"]
PAGES = "agentlang.docs.problems"
found = find_packages(".", include=[pattern for top in TOPS for pattern in (top, f"{top}.*")])

setup(
    # The pages of problems are data of the package, in the same place as in a checkout: `explain` shows them.
    packages=[
        "agentlang",
        *find_packages(".", include=["agentlang.*"]),
        *(f"agentlang.{name}" for name in found),
        PAGES,
    ],
    package_dir={"agentlang": "agentlang", **{f"agentlang.{top}": top for top in TOPS}, PAGES: "docs/problems"},
    package_data={"": ["*.lark", "*.agent", "*.json", "*.toml", "*.md", "py.typed"]},
)
