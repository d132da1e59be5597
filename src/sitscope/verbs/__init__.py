"""The verbs around a run."""
