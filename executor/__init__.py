"""Plan to running stages: the machine decides, the shell acts, engines and backends do the work."""
