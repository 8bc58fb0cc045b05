"""Bundles: a run's records as what a leaderboard takes, with the statement of how they came about."""
