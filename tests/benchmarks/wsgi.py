"""The service with a yardstick beside it."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

from django.conf import settings

from config.wsgi import application

__all__ = ["application"]
settings.ROOT_URLCONF = "tests.benchmarks.urls"
