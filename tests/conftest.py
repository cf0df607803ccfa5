"""Options and fixtures of all tests.

Being here puts this folder on the path, so that tests of every kind share the helpers in it (`ir_programs`,
`agent_sources`).
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Commands that tests start find their modules compiled, as those of an installed package are, whatever the environment
# says of writing bytecode: else a third of the time would go into compiling the same source again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The same examples each time, so that a failure is about the change at hand. HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile("steady", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite the golden pages with what the toolchain gives")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether golden pages are to be rewritten."""
    return bool(request.config.getoption("--update"))
