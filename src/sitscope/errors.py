"""What can a user do about it? The one error that stands for a user's mistake, not ours."""


class BadInput(ValueError):
    """What was given cannot be used: says which argument, what was found there, and what to do.

    The command line prints it without a traceback and exits with code 3.

    >>> raise BadInput("label", "the fields have no column 'crp', only: crop, field_id. Name one of them.")
    Traceback (most recent call last):
    sitscope.errors.BadInput: label: the fields have no column 'crp', only: crop, field_id. Name one of them.
    """

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(argument, message)
        self.argument = argument
        self.message = message

    def __str__(self) -> str:
        return f"{self.argument}: {self.message}"


class Unfinished(RuntimeError):
    """Work ended before its end through no fault of what was given; it can go on. The command line exits with 4."""
