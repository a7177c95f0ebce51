"""What every process stands on: a loop that waits, a lock that is its own, a parent that restarts it."""
