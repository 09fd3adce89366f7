from django.apps import AppConfig


class BusyBlocksConfig(AppConfig):
    name = "busyblocks"
    verbose_name = "Busy time"
