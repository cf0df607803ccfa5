"""Runs on a cluster of Ray with two machines beside the head, one of which is killed in mid-stream. A process of its
own prints what became of each as JSON lines: Ray starts a dozen processes and warns of what is its own.

    python tests/ray_cluster_runs.py FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = """tool count(to: Int) -> stream Text = python("slowly:count") effects []
tool book(to: Int) -> stream Text = python("slowly:book") effects [writes "orders"]
tool file(to: Int) -> Text = python("slowly:file") effects [writes "orders"]

pipeline streamed(to: Int) -> stream Text {
  return count(to) with place on gpu
}

pipeline gathered(to: Int) -> Text {
  parts = count(to) with place on gpu
  return all(parts)
}

pipeline booked(to: Int) -> Text {
  parts = book(to) with place on gpu
  return all(parts)
}

pipeline mended(to: Int) -> Text {
  return file(to) with place on gpu otherwise on unreachable "nobody knows"
}

fleet two {
  tier cpu = catalog.laptop { count 1 }
  tier gpu = catalog.laptop { count 0..2 }
  link * <-> * 10 Gbit/s, 100 us
}
"""
# What it has made so far is written down beside it, for who waits for the middle of a stream.
TOOL = """import os
import time
from pathlib import Path


def count(to: int):
    for number in range(to):
        with Path(COUNTED).open("a") as file:
            file.write(f"{os.getpid()}\\n")
        yield f"{number} "
        time.sleep(0.1)


def book(to: int):
    yield from count(to)


def file(to: int) -> str:
    return "".join(count(to))
"""
ITEMS = 40
MIDDLE = 12
SMALL = {"object_store_memory": 80 << 20}
QUICK = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 2,
}


def main(folder: Path) -> None:
    from ray.cluster_utils import Cluster  # pyright: ignore

    (folder / "numbers.agent").write_text(PROGRAM)
    counted = folder / "counted"
    (folder / "slowly.py").write_text(TOOL.replace("COUNTED", repr(str(counted))))
    head: dict[str, Any] = {"num_cpus": 1, "include_dashboard": False, "_system_config": QUICK, **SMALL}
    cluster: Any = Cluster(initialize_head=True, head_node_args=head)
    nodes: list[Any] = []

    def two_machines() -> None:
        while len(nodes) < 2:
            nodes.append(cluster.add_node(num_cpus=1, resources={"agentlang:gpu": 1}, **SMALL))
        cluster.wait_for_nodes()

    def kill(process: int) -> None:
        (node,) = (node for node in nodes if _under(process, node))
        nodes.remove(node)
        cluster.remove_node(node, allow_graceful=False)

    two_machines()
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        _refused()
        for pipeline, killed in (
            ("gathered", False),
            ("gathered", True),
            ("streamed", True),
            ("booked", True),
            ("mended", True),
        ):
            two_machines()
            counted.unlink(missing_ok=True)
            _run(folder, pipeline, counted, kill if killed else None)
    finally:
        cluster.shutdown()


def _refused() -> None:
    """A tier of which the cluster has too few machines."""
    from agentlang.base.problems import OutsideError
    from agentlang.executor.ray.cluster import cluster

    try:
        with cluster(None, {"gpu": 3}):
            slug = None
    except OutsideError as error:
        slug = error.problem.slug
    print(json.dumps({"pipeline": "", "killed": False, "slug": slug, "left": []}), flush=True)


def _run(folder: Path, pipeline: str, counted: Path, kill: Callable[[int], None] | None) -> None:
    import anyio
    import anyio.to_thread

    from agentlang.api import check, compile, read
    from agentlang.executor.frames import End, Item
    from agentlang.executor.ray.cluster import cluster
    from agentlang.executor.ray.launcher import RayLauncher
    from agentlang.placed import place, run_placed
    from agentlang.stdlib.library import Library

    source, _ = read(str(folder / "numbers.agent"))
    assert source is not None
    program = check(source).program
    assert program is not None
    compiled, _ = compile(program, Library(folder))
    assert compiled is not None
    placing, found = place(compiled, pipeline)
    assert placing is not None, found

    async def go(launcher: RayLauncher) -> None:
        items: list[object] = []
        told: list[str] = []
        at: list[float] = []
        end: End | None = None

        async def kill_in_the_middle() -> None:
            while len(_lines(counted)) < MIDDLE:
                await anyio.sleep(0.01)
            process = int(_lines(counted)[0])
            assert kill is not None
            at.append(time.monotonic())
            await anyio.to_thread.run_sync(kill, process)

        began = time.monotonic()
        async with anyio.create_task_group() as group:
            if kill is not None:
                group.start_soon(kill_in_the_middle)
            options = {"listen": launcher.listen, "papers": launcher.papers, "launcher": launcher}
            async with run_placed(placing, {"to": ITEMS}, tell=lambda p: told.append(p.slug), **options) as frames:
                async for frame in frames:
                    if isinstance(frame, Item):
                        items.append(frame.output)
                    elif isinstance(frame, End):
                        end = frame
        assert end is not None
        processes = [int(line) for line in _lines(counted)]
        document = {
            "pipeline": pipeline,
            "killed": kill is not None,
            "status": end.outcome.status,
            "reason": end.outcome.reason,
            "slug": end.outcome.problem.slug if end.outcome.problem else None,
            "value": end.outcome.value,
            "items": items,
            "told": told,
            "workers": len(set(processes)),
            "left": [each for each in set(processes) if Path(f"/proc/{each}").exists()],
            "seconds": time.monotonic() - began,
            "after": time.monotonic() - at[0] if at else None,
        }
        print(json.dumps(document), flush=True)

    async def in_time(launcher: RayLauncher) -> None:
        with anyio.fail_after(45):
            await go(launcher)

    with cluster(None, {"gpu": 1}) as joined:
        launcher = RayLauncher(joined, {"gpu": 1})
        try:
            anyio.run(in_time, launcher)
        finally:
            launcher.close()


def _lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def _under(process: int, node: Any) -> bool:
    """Whether a process came of a machine's raylet."""
    raylets = {info.process.pid for info in node.all_processes.get("raylet", [])}
    while process > 1:
        if process in raylets:
            return True
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
