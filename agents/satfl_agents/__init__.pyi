"""The public names of the package and the modules they live in; each is imported when it is first used."""

from .assignment import Assignment as Assignment
from .hyperparameters import Hyperparameters as Hyperparameters
from .hyperparameters import load_hyperparameters as load_hyperparameters
from .learning import learn as learn
from .per_satellite import PerSatelliteAction as PerSatelliteAction
from .per_satellite import PerSatelliteBoxAction as PerSatelliteBoxAction
from .policy_files import load_policy as load_policy
from .policy_files import save_policy as save_policy
from .policy_folders import pretrained_names as pretrained_names
from .priority import PriorityAction as PriorityAction
from .results import RunFolder as RunFolder
from .rule_action import RuleAction as RuleAction
from .set_policies import LinearPolicy as LinearPolicy
from .set_policies import MaskableSetPolicy as MaskableSetPolicy
from .set_policies import SetFeatures as SetFeatures
from .set_policies import SetPolicy as SetPolicy
from .validation import Validator as Validator
