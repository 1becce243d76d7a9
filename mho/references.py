"""The papers that records cite by key, as BibTeX."""

from __future__ import annotations

import re
from importlib import resources


def library() -> dict[str, str]:
    """BibTeX entries by key, from ``configs/references.bib``."""
    text = (resources.files("configs") / "references.bib").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=@)", text)
    return {found.group(1): entry.strip() for entry in entries if (found := re.match(r"@\w+\{([^,\s]+)", entry))}


def bibtex(keys: tuple[str, ...]) -> str:
    """The entries of ``keys``; a key without an entry becomes a comment."""
    entries = library()
    return "\n\n".join(entries.get(key, f"% {key}: no entry in configs/references.bib") for key in keys) + "\n"
