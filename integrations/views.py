"""Where vendors call us. Plain Django: the caller is known by a signature over the raw body, not by a token."""

from functools import lru_cache

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from integrations import deliveries
from integrations.calcom import signature
from integrations.models import CalcomSecret, DeliveryState, RefusalReason
from tenancy.documents import error_document
from tenancy.models import Company

_SECRET = CalcomSecret._meta.get_field("secret")
_COMPANY_AND_SECRETS = f"""
    SELECT company.id, known.secret
    FROM {Company._meta.db_table} company LEFT JOIN {CalcomSecret._meta.db_table} known ON known.company_id = company.id
    WHERE company.url_id = %s
"""  # noqa: S608 (names of our own tables)


@csrf_exempt
def calcom_webhook(request: HttpRequest, url_id: str) -> HttpResponse:
    """Check who sends it, store it, say thanks: Cal.com asks once and waits for nobody. A worker does the rest.

    200 for everything stored, unknown triggers too; 401 for a wrong signature, and 413 for a body that is too long,
    which are counted and not kept; 400 for a body that nobody can read, which is kept for the operator as failed.
    """
    if request.method != "POST":
        response = error_document(405, "method_not_allowed", "Method Not Allowed", "Deliveries are sent with POST.")
        response["Allow"] = "POST"
        return response
    company_pk, secrets = _company(url_id)
    if company_pk is None:
        return error_document(404, "not_found", "Company Not Found", "The requested company could not be found.")
    try:
        body = request.body
    except RequestDataTooBig:
        deliveries.count_refusal(company_pk, RefusalReason.TOO_LARGE, now=timezone.now())
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return error_document(413, "content_too_large", "Content Too Large", f"The body is longer than {limit} bytes.")
    except UnreadablePostError:
        return error_document(400, "bad_request", "Bad Request", "The body ended early.")
    given = request.headers.get(signature.HEADER, "")
    if secrets and not signature.is_signed(body, given, secrets):
        unsigned = given.strip().lower() in {"", signature.UNSIGNED}
        reason = RefusalReason.UNSIGNED if unsigned else RefusalReason.WRONG_SIGNATURE
        deliveries.count_refusal(company_pk, reason, now=timezone.now())
        return error_document(
            401, "unauthorized", "Unauthorized", "The signature is missing or is not made with this company's secret."
        )
    delivery = deliveries.receive(
        company_pk,
        body,
        content_type=request.content_type or "",
        headers=request.headers,
        signed=bool(secrets),
        now=timezone.now(),
    )
    if delivery.state == DeliveryState.FAILED:
        return error_document(400, "bad_request", "Bad Request", delivery.error)
    return JsonResponse({"message": "Webhook processed successfully"})


def _company(url_id: str) -> tuple[int | None, list[str]]:
    """The company of that address and the secrets that sign its deliveries.

    By hand: this is asked for each delivery, and building the same query again took longer than answering it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COMPANY_AND_SECRETS, [url_id])
        rows = cursor.fetchall()
    # Without secrets there is one row with none.
    keys = tuple(settings.FIELD_ENCRYPTION_KEYS)
    secrets = [_opened(secret, keys) for _, secret in rows if secret is not None]
    return (rows[0][0] if rows else None), secrets


@lru_cache(maxsize=1024)
def _opened(ciphertext: str, keys: tuple[str, ...]) -> str:
    """The secret behind a ciphertext that was just read: one that is changed or deleted is not asked for again."""
    found: str = _SECRET.from_db_value(ciphertext, None, connection)
    return found
