from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "tenancy"
    verbose_name = "Companies and users"

    def ready(self) -> None:
        from tenancy import signin  # noqa: F401  (importing it connects its signal)
