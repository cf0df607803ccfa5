"""The engines side by side, transformers on PyTorch beside them: same weights, same prompts, one run.

Each engine runs in a process of its own and waits there for its turn; one measurement goes round all of them before the
next begins, so that what else the machine does falls on all alike.
"""
