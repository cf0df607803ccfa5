"""The model of serving times, fitted to published measurements and held against those that it has not seen."""
