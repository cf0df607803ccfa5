"""What "Efficient and Scalable Agentic AI with Heterogeneous Systems" (Asgar, Nguyen, Katti 2025) computes, computed
again: its worked example, its tables of devices, its network equations and its pairs of prefill and decode devices."""
