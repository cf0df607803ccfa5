"""Long-lived faces: servers and editors. They never keep a second model of a run."""
