from django.apps import AppConfig


class IcsFeedsConfig(AppConfig):
    name = "icsfeeds"
    verbose_name = "ICS feeds"
