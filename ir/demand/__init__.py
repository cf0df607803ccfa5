"""What stages need, as formulas of sizes.

`llm` holds the arithmetic of transformers, `sizing` follows sizes through a pipeline, `stages` puts both together,
`data` writes demands down, `artifact` holds the formulas against compiled functions. All of it works on the frozen
graph; the pass `annotate_demand` brings it into a module.
"""
