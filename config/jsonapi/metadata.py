"""The answer to OPTIONS."""

from typing import Any

from rest_framework.metadata import BaseMetadata
from rest_framework.request import Request
from rest_framework.views import APIView


class Methods(BaseMetadata):
    """What the path answers to; the bodies are described at /openapi.json."""

    def determine_metadata(self, request: Request, view: APIView) -> dict[str, Any]:
        return {"meta": {"methods": view.allowed_methods}}
