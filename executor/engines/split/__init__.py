"""One model in two processes: prompts are prefilled in one, replies are decoded in the other, and the KV cache of a
prompt travels between them, layer by layer, while the next layers compute.

Prefill is bound by arithmetic and decode by memory, and a long prompt in the same process holds up every reply. `forms`
says how a cache lies in memory and `conversions` brings it from one form to another; `links` and `shared` carry it;
`prefilling` and `decoding` are the two processes, `engine` and `model` are what the executor sees of them.
"""
