"""The answer to OPTIONS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.metadata import BaseMetadata
from rest_framework.request import Request

if TYPE_CHECKING:
    # DRF reads its settings, and with them this module, while `rest_framework.views` is still being imported.
    from rest_framework.views import APIView


class Methods(BaseMetadata):
    """What the path answers to; the bodies are described at /openapi.json."""

    def determine_metadata(self, request: Request, view: APIView) -> dict[str, Any]:
        return {"meta": {"methods": view.allowed_methods}}
