"""The public names of the package and the modules they live in; each is imported when it is first used."""

from .hyperparameters import Hyperparameters as Hyperparameters
from .hyperparameters import load_hyperparameters as load_hyperparameters
from .learning import Assignment as Assignment
from .learning import learn as learn
from .policy_files import load_policy as load_policy
from .policy_files import save_policy as save_policy
from .policy_folders import pretrained_names as pretrained_names
from .results import RunFolder as RunFolder
from .validation import Validator as Validator
