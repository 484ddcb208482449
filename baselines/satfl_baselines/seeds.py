"""Which seeds are for what: a result counts only on seeds that no choice was made on.

The ranges are disjoint. Take as many as you need from their beginning: `HELD_OUT[:50]`. The last held-out
ones are those that `satfl train` shows at its end.

- `TRAINING`: all that an environment draws by itself when it is reset without a seed, so a learner needs no list. Also
  the seeds 0, 1, ... that `satfl compare` plays, on which the papers are reproduced and rules are looked at.
- `TUNING`: chooses settings, such as a learner's hyperparameters or the numbers of a rule.
- `VALIDATION`: chooses between what training gave, such as the best model of a run.
- `HELD_OUT`: judges what was chosen. Nothing is chosen on these, and suites are frozen on them.
"""

from __future__ import annotations

TRAINING = range(2**32)
TUNING = range(10**10, 2 * 10**10)
VALIDATION = range(2 * 10**10, 3 * 10**10)
HELD_OUT = range(3 * 10**10, 4 * 10**10)
