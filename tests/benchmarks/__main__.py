"""`make bench`: start PostgreSQL and a broker, run the benchmarks, name the machine.

Arguments choose: python -m tests.benchmarks mirror account_list
"""

import os
import platform
import sys
from importlib import import_module
from pathlib import Path

from tests import services
from tests.benchmarks.report import say

BENCHMARKS = ("mirror", "vendors", "push", "account_list", "freebusy", "feeds", "deliveries", "dashboard")


def main(names: list[str]) -> int:
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        print(f"There is no benchmark {unknown[0]}. There are: {', '.join(BENCHMARKS)}.")
        return 2
    say("machine", f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with services.postgres() as database, services.broker() as broker:
        os.environ |= {
            "DATABASE_URL": database,
            "REDIS_URL": broker,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "OUTBOUND_ALLOWED_HOSTS": "127.0.0.1,localhost",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        for name in names or BENCHMARKS:
            import_module(f"tests.benchmarks.{name}").run()
    return 0


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
