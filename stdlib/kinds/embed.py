"""Sentence encoders. No stage of their own yet: an index is built with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import anyio.to_thread

from ...base.problems import OutsideError
from ...executor.kinds import Kind, Opener
from .. import problems, store
from ..extras import need_models
from . import Environment

if TYPE_CHECKING:
    from ..models.encoder import SentenceEncoder


def stages(environment: Environment) -> Mapping[str, Kind]:
    del environment
    return {}


def openers(environment: Environment) -> Mapping[str, Opener]:
    async def open_encoder(name: str, arguments: Mapping[str, object]) -> SentenceEncoder:
        from ..models.opening import open_encoder

        del name
        wanted = cast(str, arguments["name"])
        need_models("an encoder")
        entry = store.entry(wanted)
        if entry.role != "embed":
            raise OutsideError(problems.wrong_role(wanted, entry.role, "embed"))
        files = await anyio.to_thread.run_sync(store.obtain, entry, environment.progress)
        encoder = open_encoder(entry, files, environment.packages.get(wanted))
        await anyio.to_thread.run_sync(encoder.open)
        return encoder

    return {"model": open_encoder}
