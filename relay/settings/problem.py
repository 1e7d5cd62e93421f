"""What is wrong with settings."""

from __future__ import annotations

from dataclasses import dataclass

from relay.errors import RelayError


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """A setting that was refused.

    Args:
        variable: name of the environment variable.
        given: the value, with secrets masked.
        allowed: what is accepted.
        located: whether `given` says where the value stands, such as the line of a file.
        part: of a value that has several, the one that is meant, such as `chat.history_size`; empty: all of it.
    """

    variable: str
    given: str
    allowed: str
    located: bool = False
    part: str = ""

    @property
    def name(self) -> str:
        """The variable, and which part of it."""
        return f"{self.variable}: {self.part}" if self.part else self.variable

    def __str__(self) -> str:
        return f"{self.name}: got {self.given}; allowed: {self.allowed}"


class SettingsError(RelayError):
    """The settings can't be used; holds every problem, not only the first one."""

    def __init__(self, problems: list[SettingProblem]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class WrongParts(RelayError, ValueError):
    """A value of several parts, of which some can't be used; holds a problem for each of these. Validators raise it."""

    def __init__(self, problems: list[SettingProblem]) -> None:
        super().__init__(problems)
        self.problems = problems
