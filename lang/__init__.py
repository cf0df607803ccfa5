"""Text to syntax to meaning: scanner, grammar, tree, names, types, the checker, the typed program, the printer."""
