"""What one session said before: `turns` is what is kept and what fits, `sessions` where it is kept."""
