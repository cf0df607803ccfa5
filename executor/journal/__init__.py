"""Durable runs: the machine is pure, so a run is its inputs and what the shell told the machine, in order.

`records` is what a journal says, `file` where it lies and how it gets there, `course` the machine led through it
again, `shell` the shell that writes one and goes on from one, `backend` what stands between that shell and the stages,
`replay` a recorded run looked at step by step. `docs/execution.md` says what holds for people.
"""
