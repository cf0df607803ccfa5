"""What every layer stands on: spans, problems, quantities, content hashes and the atomic store.

Imports nothing of ours.
"""
