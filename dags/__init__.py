"""When the jobs run, and in which order; no logic."""
