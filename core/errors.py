"""What can go wrong, in sentences for people: what happened, why, and what to do."""

MAX_MESSAGE_LENGTH = 1000
"""Characters of a sentence."""


class LiminalError(Exception):
    """Bad input or a missing part. The message is one sentence shown as it is, without a traceback.

    It may quote what somebody gave: line ends become spaces, of a very long one the middle is left out, and what pages would take
    for a link or a picture elsewhere is none.
    """

    def __init__(self, message: str = "") -> None:
        sentence = " ".join(str(message).splitlines()).replace("](", "] (")
        if len(sentence) > MAX_MESSAGE_LENGTH:
            sentence = f"{sentence[: MAX_MESSAGE_LENGTH // 2]} ... {sentence[-MAX_MESSAGE_LENGTH // 4 :]}"
        super().__init__(sentence)


class Cancelled(LiminalError):  # noqa: N818 (stopping on request is no error)
    """The user stopped a long task. Nothing half-made is kept."""

    def __init__(self, message: str = "Stopped on request; nothing half-made was kept.") -> None:
        super().__init__(message)
