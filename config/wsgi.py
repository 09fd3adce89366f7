"""What the web server loads. It refuses to start on a configuration that `manage.py check` would refuse."""

import os

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

# The settings have to be read first.
from config import env  # noqa: E402
from icsfeeds.wsgi import FeedsFirst  # noqa: E402
from integrations.wsgi import DeliveriesFirst  # noqa: E402

application = FeedsFirst(DeliveriesFirst(django_application))

if env.problems:
    raise ImproperlyConfigured(" ".join(f"{problem.message} {problem.hint}" for problem in env.problems))
