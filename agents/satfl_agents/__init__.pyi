"""The public names of the package and the modules they live in; each is imported when it is first used."""

from .envs.vec_env import SatFLVecEnv as SatFLVecEnv
from .forms.form import Form as Form
from .forms.form import wrapped as wrapped
from .forms.per_satellite import PerSatelliteAction as PerSatelliteAction
from .forms.per_satellite import PerSatelliteBoxAction as PerSatelliteBoxAction
from .forms.priority import PriorityAction as PriorityAction
from .forms.rule_action import RuleAction as RuleAction
from .hyperparameters.reading import load_hyperparameters as load_hyperparameters
from .hyperparameters.sections import Hyperparameters as Hyperparameters
from .networks.network import Network as Network
from .networks.set_policies import LinearPolicy as LinearPolicy
from .networks.set_policies import MaskableSetPolicy as MaskableSetPolicy
from .networks.set_policies import SetFeatures as SetFeatures
from .networks.set_policies import SetPolicy as SetPolicy
from .policies.files import PolicyDescription as PolicyDescription
from .policies.files import load_policy as load_policy
from .policies.files import save_policy as save_policy
from .policies.folders import pretrained_names as pretrained_names
from .training.assignment import Assignment as Assignment
from .training.learning import learn as learn
from .training.run_folder import RunFolder as RunFolder
from .training.validation import Validator as Validator
