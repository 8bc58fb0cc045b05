"""lm-eval 0.4.13: the task class, its filter, and the records of a run. Nothing is imported here."""
