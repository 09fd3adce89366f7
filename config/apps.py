from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The composition root as an app: its checks and the commands that concern more than one floor."""

    name = "config"
    verbose_name = "Service"

    def ready(self) -> None:
        from config import celery_app, checks  # noqa: F401  (importing checks registers them)

        # Tasks are rung by name, from every process: all have to know them.
        celery_app.autodiscover_tasks(force=True)
