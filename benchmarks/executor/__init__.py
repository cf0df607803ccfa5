"""The executor beside its peers and their floors, in one run: `make bench-executor`.

`python -m benchmarks.executor.costs` says what single parts of it cost.
"""
