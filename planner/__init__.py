"""Hardware, demand to seconds and dollars, and the plan."""
