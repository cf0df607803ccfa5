"""The llama.cpp engine: GGUF files of any quantisation, in a process of its own."""
