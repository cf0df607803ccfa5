"""What the optimising passes gain on real programs: one file for each pass, run with the pass and without it, side by
side in one process."""

PARTS = ("share_duplicates", "hoist_prefix", "batch_calls")
"""The passes that are measured, each by the module of its name."""
