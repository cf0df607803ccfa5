"""How fast plans are decided, on made-up problems that look like real ones."""
