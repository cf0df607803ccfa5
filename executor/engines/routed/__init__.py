"""One model in several processes (or anywhere else), and a router before them. See `model` and `executor/routing`."""
