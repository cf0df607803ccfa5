"""The engine that runs models with XLA, through JAX.

Not imported before an engine is asked for: JAX costs half a second.
"""
