"""What a step and a branch cost here and in other systems, in one run.

Every node adds 1 to an integer, so that what is measured is the system alone. Each graph is built once and run many
times; systems take turns, and each figure is the median.
"""
