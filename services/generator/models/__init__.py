"""The models on this machine: which there are, where they lie, and how they come and go."""
