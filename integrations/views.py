"""Where vendors call us. Plain Django: the caller is known by a signature over the raw body, not by a token."""

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from integrations import deliveries
from integrations.calcom import senders, signature
from integrations.models import DeliveryState, RefusalReason
from tenancy.documents import error_document

THANKS = {"message": "Webhook processed successfully"}


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
    sender = senders.find(url_id)
    if sender is None:
        return error_document(404, "not_found", "Company Not Found", "The requested company could not be found.")
    try:
        body = request.body
    except RequestDataTooBig:
        deliveries.count_refusal(sender.company_pk, RefusalReason.TOO_LARGE, now=timezone.now())
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return error_document(413, "content_too_large", "Content Too Large", f"The body is longer than {limit} bytes.")
    except UnreadablePostError:
        return error_document(400, "bad_request", "Bad Request", "The body ended early.")
    given = request.headers.get(signature.HEADER, "")
    if sender.secrets and not signature.is_signed(body, given, sender.secrets):
        unsigned = given.strip().lower() in {"", signature.UNSIGNED}
        reason = RefusalReason.UNSIGNED if unsigned else RefusalReason.WRONG_SIGNATURE
        deliveries.count_refusal(sender.company_pk, reason, now=timezone.now())
        return error_document(
            401, "unauthorized", "Unauthorized", "The signature is missing or is not made with this company's secret."
        )
    delivery = deliveries.receive(
        sender.company_pk,
        body,
        content_type=request.content_type or "",
        headers=request.headers,
        signed=bool(sender.secrets),
        now=timezone.now(),
    )
    if delivery.state == DeliveryState.FAILED:
        return error_document(400, "bad_request", "Bad Request", delivery.error)
    return JsonResponse(THANKS)
