"""What simulations are worth: measurements under load beside them, and bounds of plans beside what is simulated."""
