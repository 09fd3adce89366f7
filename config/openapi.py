"""The OpenAPI description, true to the bodies that the API takes and gives."""

from drf_spectacular.openapi import AutoSchema


class DocumentSchema(AutoSchema):
    """drf-spectacular's schema in the JSON:API envelope."""
