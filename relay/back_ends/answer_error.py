"""What is wrong with the answer of a back end."""

from __future__ import annotations

from relay.errors import RelayError


class AnswerError(RelayError):
    """An answer can't be used.

    Args:
        rule: that it breaks; repeats no value of it but patterns.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule

    def __str__(self) -> str:
        return f"its answer can't be used: {self.rule}"
