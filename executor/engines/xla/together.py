"""Running two things at once, with plain errors: a task group would wrap the typed errors of a contract in a group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio


async def together(*calls: Callable[[], Awaitable[None]]) -> None:
    """Await all `calls` at once. The first error cancels the others and is raised as it is."""
    errors: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def guarded(call: Callable[[], Awaitable[None]]) -> None:
            try:
                await call()
            except Exception as error:
                errors.append(error)
                group.cancel_scope.cancel()

        for call in calls:
            group.start_soon(guarded, call)
    if errors:
        raise errors[0]
