"""Programs and parts that stand in for what a machine without them, or a test, cannot have."""
