"""Many sequences in one step, on pages of KV cache: the scheduler's orders, carried out by XLA. See `device`."""
