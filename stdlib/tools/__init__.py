"""Tools of strangers: how their code runs beside ours without being able to hurt it.

A tool is never imported or executed in this process. `launch` starts it under a keeper (`keeper.py`), a small process
that sets its limits, passes on what it prints, and ends it with all its descendants when it is told to, or when we are
gone. `workers` keeps Python workers (`worker.py`) warm, `network` says who may reach the network, `addresses` which
addresses a request may go to.
"""
