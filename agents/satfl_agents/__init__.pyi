"""The public names of the package and the modules they live in; each is imported when it is first used."""

from .policy_files import load_policy as load_policy
from .policy_files import pretrained_names as pretrained_names
from .policy_files import save_policy as save_policy
