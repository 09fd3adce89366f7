"""The service with a yardstick beside it."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

django = get_wsgi_application()

from icsfeeds.wsgi import FeedsFirst  # noqa: E402  (Django has to be set up first)

application = FeedsFirst(django)
settings.ROOT_URLCONF = "tests.benchmarks.urls"
