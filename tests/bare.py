"""The test settings without the apps that import half of the project while they are set up."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as _ALL

INSTALLED_APPS = [name for name in _ALL if name not in {"config", "drf_spectacular", "django.contrib.admin", "unfold"}]
