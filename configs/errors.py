"""The one exception that means: what the user gave is wrong.

The command line prints its text and exits with code 2, without a traceback. It is in the lowest package because every
package may find something wrong with a file that it was given.
"""

from __future__ import annotations

from collections.abc import Iterable


class InputError(ValueError):
    """One or several problems with a user's file, option or data.

    Each problem is one line that names the file, the line in it, what is allowed and what was got.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))
