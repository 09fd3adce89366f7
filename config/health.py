"""Whether the process lives, and whether it can serve."""

from django.core.cache import cache
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe


@csrf_exempt
@never_cache
@require_safe
def live(_request: HttpRequest) -> JsonResponse:
    """200 while the process answers at all."""
    return JsonResponse({"status": "live"})


@csrf_exempt
@never_cache
@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """200 when the database answers, else 503. The cache is reported; without it the service still serves."""
    parts = {"database": "ok", "cache": "ok"}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        parts["database"] = "unreachable"
    try:
        cache.get("health")
    except Exception:  # noqa: BLE001 (the cache's client has errors of its own, and none of them makes us unready)
        parts["cache"] = "unreachable"
    ok = parts["database"] == "ok"
    return JsonResponse({"status": "ready" if ok else "not ready", **parts}, status=200 if ok else 503)
