"""What does a person see? Figures of a run, and the report that tells it."""
