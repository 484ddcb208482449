"""Pages of HTML: the replay of an episode, and reports of results. Each is one file that asks for no other."""
