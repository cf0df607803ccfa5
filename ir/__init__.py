"""From the typed program on: the `agent` MLIR dialect, its passes, demand formulas, and the frozen graph."""
