"""What can be wrong with a request before any app has seen it."""


class BodyTooLarge(Exception):
    """The body is longer than the service reads."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is longer than {limit} bytes.")
