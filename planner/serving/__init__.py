"""How long accelerators take for steps of a model that many requests share: physics, and what
measurements add to it."""
