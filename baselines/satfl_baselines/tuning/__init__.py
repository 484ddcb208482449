"""Tuning the numbers of the rule on a scenario: the search, its episodes, its folder, and files of tuned rules."""
