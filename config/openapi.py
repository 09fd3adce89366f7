"""The OpenAPI description, true to the bodies that the API takes and gives.

Serializers describe attributes; what surrounds them (resource objects, page meta, the wrappers of request bodies, error
documents) is described here once. Plain Django views are described by hand in `config/openapi_paths.py`.
"""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.utils import Direction
from rest_framework.serializers import UUIDField

from config.openapi_paths import ANSWERS, BODIES, OPERATIONS, PARAMETERS, TEXTS

MEDIA_TYPES = ("application/json", "application/vnd.api+json")
_VERBS = {
    "list": "list",
    "retrieve": "get",
    "create": "create",
    "update": "update",
    "destroy": "delete",
    "trash": "list_deleted",
    "recover": "recover",
    "ask": "ask",
    "rotate": "rotate",
    "restore": "restore",
}
_REFUSALS = ("401", "403", "404", "422", "429", "4XX", "5XX")
_STATUSES = {"create": "201", "destroy": "204"}


class DocumentSchema(AutoSchema):
    """One operation of a `TenantViewSet`, in the JSON:API envelope."""

    # A TenantViewSet; the library knows it as any view.
    view: Any

    def _is_list_view(self, serializer: Any = None) -> bool:
        return self.view.action == "trash" or super()._is_list_view(serializer)

    def get_operation_id(self) -> str:
        name = self.view.resource_name + ("s" if self._is_list_view() else "")
        if self.view.also_of_users and "{user_unique_id}" in self.path:
            name = f"user_{name}"
        return OPERATIONS.get(self._key(), f"{_VERBS[self.view.action]}_{name}")

    def _key(self) -> tuple[str, str]:
        return type(self.view).__name__, self.view.action

    def get_tags(self) -> list[str]:
        return [_title(self.view.resource_name) + "s"]

    def get_summary(self) -> str:
        return self.get_operation_id().replace("_", " ").capitalize()

    def _get_parameters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = super()._get_parameters()
        if self._is_list_view():
            found += self._query_parameters()
        return found + PARAMETERS.get(self._key(), [])

    def _get_pagination_parameters(self) -> list[dict[str, Any]]:
        if not self._is_list_view():
            return []
        size = {"type": "integer", "minimum": 1, "default": settings.API_PAGE_SIZE}
        limit = settings.API_PAGE_SIZE_LIMIT
        return [
            query("page", "From 1; beyond the last there is nothing.", type="integer", minimum=1, default=1),
            query("records", f"Rows a page; more than {limit} are taken for {limit}.", **size),
        ]

    def _query_parameters(self) -> list[dict[str, Any]]:
        view = self.view
        found = [query(name, f"Only rows whose {name} is this; several as {name}[].") for name in view.filterable]
        if view.searchable:
            found.append(query("search", f"Text in {' or '.join(view.searchable)}, in any case."))
        if view.sortable:
            names = ", ".join(view.sortable)
            found.append(query("sort", f"Fields with commas between them, - before one turns it round: {names}."))
        return found

    def _get_request_body(self, direction: Direction = "request") -> dict[str, Any] | None:
        if self.method not in {"POST", "PUT", "PATCH"} or self.view.action in {"rotate", "restore"}:
            return None
        named = BODIES.get(self._key())
        component = self.resolve_serializer(import_string(named) if named else self._get_serializer(), direction)
        attributes = component.ref
        wrapper = getattr(self.view, "body_name", None) or self.view.resource_name
        ways = [
            {**_object(**{wrapper: attributes}), "title": "Wrapped"},
            {"title": "Flat", "allOf": [attributes]},
            {**_object(data=_object(attributes=attributes)), "title": "JSON:API"},
        ]
        return {
            "content": {media_type: {"schema": {"anyOf": ways}} for media_type in MEDIA_TYPES},
            "required": bool(component.schema.get("required")),
        }

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        by_hand = ANSWERS.get(self._key())
        status, schema = by_hand or (_STATUSES.get(self.view.action, "200"), None)
        answers: dict[str, Any] = {status: {"description": "Done, and nothing to say."}}
        if status != "204":
            described = schema or self._document(direction)
            answers[status] = {
                "description": "",
                "content": {media_type: {"schema": described} for media_type in MEDIA_TYPES},
            }
        if (texts := TEXTS.get(self._key())) is not None:
            text = {"text/calendar": {"schema": {"type": "string"}}}
            answers[status]["content"] = text if texts == "alone" else answers[status]["content"] | text
        return answers | {refusal: {"$ref": "#/components/responses/Refusal"} for refusal in _REFUSALS}

    def _document(self, direction: Direction) -> dict[str, Any]:
        attributes = self.resolve_serializer(self._get_serializer(), direction).ref
        # Rows have UUIDs; users, and what is reckoned of them (free/busy), have the CRM's names.
        is_row = isinstance(self._get_serializer().fields["id"], UUIDField)
        id_schema = {"type": "string", "format": "uuid"} if is_row else {"type": "string"}
        resource = _object(type={"const": self.view.resource_name}, id=id_schema, attributes=attributes)
        if "links" in self._get_serializer().fields:
            addresses = {"type": "object", "additionalProperties": {"type": "string"}}
            resource = _object(**resource["properties"], links=addresses)
        if self._key() == ("FreeBusyOfManyViewSet", "ask"):
            return _object(data={"type": "array", "items": resource})
        if self._is_list_view():
            return _object(data={"type": "array", "items": resource}, meta={"$ref": "#/components/schemas/PageMeta"})
        return _object(data=resource)

    def _postprocess_serializer_schema(
        self, schema: dict[str, Any], serializer: Any, direction: Direction
    ) -> dict[str, Any]:
        """In answers every attribute is there, `id` and `links` stand outside, and what may be NULL may be null."""
        schema = super()._postprocess_serializer_schema(schema, serializer, direction)
        properties = schema.get("properties", {})
        properties.pop("id", None)
        properties.pop("links", None)
        if direction == "response":
            for name, described in properties.items():
                if _may_be_null(serializer, name) and isinstance(described.get("type"), str):
                    described["type"] = [described["type"], "null"]
            schema["required"] = [name for name in properties if name not in getattr(serializer, "sometimes", ())]
        return schema


class UTCDateTime(OpenApiSerializerFieldExtension):
    target_class = "tenancy.serializers.UTCDateTimeField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


class Moment(OpenApiSerializerFieldExtension):
    target_class = "busyblocks.fields.MomentField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        # A wall time or a date goes in too; out comes an instant.
        return {"type": "string", "format": "date-time"} if direction == "response" else {"type": "string"}


class Moments(OpenApiSerializerFieldExtension):
    target_class = "busyblocks.fields.MomentsField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string"}}


class TimeOfDay(OpenApiSerializerFieldExtension):
    target_class = "busyblocks.questions.TimeOfDayField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$", "example": "09:00"}


class Shows(OpenApiSerializerFieldExtension):
    target_class = "icsfeeds.serializers.Shows"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        return {"type": "array", "items": {"enum": ["meetings", "busy_blocks", "synced"]}}


class Scopes(OpenApiSerializerFieldExtension):
    target_class = "calendars.serializers.account.ScopesField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


class BearerAndAppId(OpenApiAuthenticationExtension):
    target_class = "tenancy.authentication.BearerAuthentication"
    name = ["bearer", "appId"]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Who asks."},
            {"type": "apiKey", "in": "header", "name": "AppId", "description": "At which company."},
        ]


@lru_cache(maxsize=1)
def _rendered() -> bytes:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    rendered: bytes = OpenApiJsonRenderer().render(schema)
    return rendered


@csrf_exempt
@require_safe
def description(_request: HttpRequest) -> HttpResponse:
    """`/openapi.json`; it says the same for as long as the process lives."""
    return HttpResponse(_rendered(), content_type="application/json")


def query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"in": "query", "name": name, "description": description, "schema": {"type": "string", **schema}}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _title(resource_name: str) -> str:
    return resource_name.replace("_", " ").capitalize().replace("Ics", "ICS")


def _may_be_null(serializer: Any, name: str) -> bool:
    field = serializer.fields[name]
    model = getattr(getattr(serializer, "Meta", None), "model", None)
    if model is None or not field.read_only or field.source == "*" or "." in field.source:
        return False
    try:
        return bool(model._meta.get_field(field.source).null)
    except FieldDoesNotExist:
        return False
