"""Workers on a cluster of Ray: Ray says where each is and notices that a machine is gone; all else is ours.

A worker is a process beside an actor, which Ray puts on a machine of the worker's tier. What it says and is sent goes
over the wire, as anywhere. This folder is the only one that knows Ray.
"""
