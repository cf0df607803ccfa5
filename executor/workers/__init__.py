"""Stages in processes of their own: one for each instance of a tier, on this machine or on others.

`places` is the contract with who starts processes, `supervising` decides and does nothing, `coordinator` acts on it,
`worker` is the other side. docs/placement.md tells users what holds.
"""
