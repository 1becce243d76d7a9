"""How much memory a product may take: what the machine, its container and the user's limit still leave."""

from __future__ import annotations

import sys
from pathlib import Path

if sys.platform != "win32":
    import resource

SHARE = 0.8
"""Part of the free memory that a product may fill."""


def _number(path: str) -> int | None:
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None


def available_bytes() -> int | None:
    """Memory that can still be filled [bytes], or None where the operating system does not give it.

    The least of what the kernel calls available, of what is left of the container's limit (control groups, version 2
    or 1) and of the limit on the address space.
    """
    limits: list[int] = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        limits += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits += [soft - used] if soft != resource.RLIM_INFINITY else []
    except OSError:
        pass
    for folder, limit, usage in (
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        most, now = _number(f"{folder}/{limit}"), _number(f"{folder}/{usage}")
        if most is not None and now is not None:
            limits.append(most - now)
    return max(0, min(limits)) if limits else None
