"""Routing between replicas, and KV pages offloaded: what both bring on recorded sessions of agents. See `__main__`."""
