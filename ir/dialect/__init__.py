"""The `agent` dialect: types, operations and their verifiers. `spec` says how an operation is described.

| file | operations |
| --- | --- |
| `values` | constant, open, template, build, field, list, binary, unary, collect, length |
| `data` | table, index, case, convert, parse, declassify |
| `stages` | stage, chat, tokenize, prefill, transfer, decode, detokenize, call, given |
| `control` | map, if, emit, expect, yield, return |
| `branches` | match, race, arm, repeat, turn |
| `fused` | fused |
| `policies` | try, guard, interruptible, buffered |
| `agents` | agent |
| `declarations` | handle, record, enum, tool, pipeline, test, goal |
| `fleets` | fleet, tier, link |
| `parallel` | step and what is in it: enter, layers, attention, feed_forward, all_reduce, experts, …, leave, give |
| `placed` | send, receive, watch, halt, over, channel, island |
"""
