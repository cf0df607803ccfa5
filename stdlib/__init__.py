"""The words programs start with (`.agent` interface files), and what stands behind them."""
