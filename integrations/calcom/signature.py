"""Whether a delivery is signed by a secret of the company it is for."""

import hashlib
import hmac
from collections.abc import Iterable

HEADER = "X-Cal-Signature-256"
# What Cal.com writes there when it has no secret.
UNSIGNED = "no-secret-provided"


def signature_of(body: bytes, secret: str) -> str:
    """HMAC-SHA256 over the exact raw body, lower-case hexadecimal, as Cal.com sends it in X-Cal-Signature-256."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_signed(body: bytes, given: str, secrets: Iterable[str]) -> bool:
    """Whether `given` is the signature of `body` under one of `secrets`; without secrets never.

    All secrets are tried in constant time, so that the answer's time does not tell which one nearly fitted. What
    Cal.com sends when it has no secret (`no-secret-provided`, or no header) is no signature of anything.
    """
    # Bytes, because compare_digest refuses text beyond ASCII and the header may hold any.
    offered = given.strip().encode()
    verdicts = [hmac.compare_digest(signature_of(body, secret).encode(), offered) for secret in secrets]
    return any(verdicts)
