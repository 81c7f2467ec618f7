"""What can go wrong, in sentences for people: what happened, why, and what to do."""


class LiminalError(Exception):
    """Bad input or a missing part. The message is one sentence shown as it is, without a traceback."""


class Cancelled(LiminalError):  # noqa: N818 (stopping on request is no error)
    """The user stopped a long task. Nothing half-made is kept."""

    def __init__(self, message: str = "Stopped on request; nothing half-made was kept.") -> None:
        super().__init__(message)
