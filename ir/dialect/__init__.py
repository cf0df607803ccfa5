"""The `agent` dialect: types, operations and their verifiers. `spec` says how an operation is described.

| file | operations |
| --- | --- |
| `values` | constant, open, template, build, field, list, binary, unary, collect, length |
| `stages` | stage, chat, tokenize, prefill, transfer, decode, detokenize, call |
| `control` | map, if, emit, expect, yield, return |
| `declarations` | handle, record, enum, pipeline, test, goal, fleet, tier, link |
"""
