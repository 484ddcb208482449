"""The public names of the package and the modules they live in; each is imported when it is first used."""

from .agent import as_agent as as_agent
from .comparison import compare as compare
from .evaluate import Run as Run
from .evaluate import run_episode as run_episode
from .lookahead import LookAhead as LookAhead
from .lookahead import outlook as outlook
from .policies import make_policy as make_policy
from .policies import policy_names as policy_names
from .policy import Policy as Policy
from .results import summarise as summarise
from .rule import RuleNumbers as RuleNumbers
from .rule import rule_policy as rule_policy
from .summary import Comparison as Comparison
from .summary import Estimate as Estimate
