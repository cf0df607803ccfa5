"""Text to syntax to meaning: scanner, grammar, syntax tree, names, types, the checker, the typed program, the printer."""
