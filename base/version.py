"""Which agentlang this is, for layers that may not import the package itself."""

VERSION = "0.1.0"
