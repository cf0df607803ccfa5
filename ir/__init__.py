"""From the typed program on: the `agent` MLIR dialect, its passes, demand formulas, and the frozen graph.

| part | is |
| --- | --- |
| `compile` | the way in: lower, run the passes, read; `Module` |
| `graph`, `formula`, `sizes`, `library` | what leaves: frozen values, no MLIR |
| `dialect` | types, operations, verifiers |
| `lower` | program to module |
| `passes`, `pipeline`, `verify`, `laws` | module to module, and what must hold between |
| `demand` | what stages need, as formulas of sizes |
| `read`, `emit` | module to graph and back |
| `stablehlo`, `artifact` | model operations in the module; as values, with what their bytes do not say |
| `pretty` | the readable form |

Importing this package, or the second row, loads no MLIR.
"""
