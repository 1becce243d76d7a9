"""Commands run in this process, as a user types them."""

from __future__ import annotations

import pytest

from mho import cli


def mho(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["mho", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
    code = stop.value.code
    out, err = capsys.readouterr()
    return (code if isinstance(code, int) else 0), out, err
