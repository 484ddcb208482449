"""Suites: scenarios and held-out seeds on which policies are judged, the same for all, and the leaderboard of one."""
