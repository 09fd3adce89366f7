from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The composition root as an app: its checks and the commands that concern more than one floor."""

    name = "config"
    verbose_name = "Service"

    def ready(self) -> None:
        from config import checks  # noqa: F401  (registers them)
