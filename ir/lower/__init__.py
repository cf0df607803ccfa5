"""The typed program to a module of the `agent` dialect: `module` for declarations, `body` for pipelines."""
