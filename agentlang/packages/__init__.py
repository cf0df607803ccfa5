"""Compiled programs as folders: built once, checked by hash, run without their source.

`manifest` says what a package is, `building` makes one, `opening` takes one in, `signing` says who made it. A package
holds bytecode, StableHLO and machine code by IREE; nothing in it is ever unpickled.
"""
