"""System checks of the configuration: each wrong or missing environment variable, with what to write instead."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from config import env


@register()
def environment_is_complete(**_: Any) -> list[CheckMessage]:
    return [
        Error(problem.message, hint=problem.hint, id=f"config.E{number:03}")
        for number, problem in enumerate(env.problems, start=1)
    ]
