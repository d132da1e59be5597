"""What is there, and what stands in the way of a run? All of it at once, before any computing."""
