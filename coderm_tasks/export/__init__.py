"""Training data out of a run: preferences, rewards, and the columns of CodeRM-UnitTest."""
