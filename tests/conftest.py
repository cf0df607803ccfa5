"""Puts this folder on the path, so that tests of every kind share the builders in it (`ir_programs`)."""
