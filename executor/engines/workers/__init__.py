"""Processes that run models beside ours: how one is started, what passes to and fro, and how either end hears that the
other is gone. What a worker computes is its engine's affair (`llamacpp`, `split`)."""
