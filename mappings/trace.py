"""The schedule as a trace for the Perfetto and Chrome viewers: a layer is a process, a resource a thread.

Format: "Trace Event Format" (Google, 2016), JSON object form; complete events ``X`` with microsecond stamps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mappings.actions import ScheduledTask

MICROSECONDS = 1e6


def trace(tasks: Iterable[ScheduledTask], *, title: str = "one step") -> dict[str, Any]:
    """A JSON-ready trace of ``tasks``; layers and resources in order of appearance."""
    events: list[dict[str, Any]] = []
    processes: dict[str, int] = {}
    threads: dict[tuple[str, str], int] = {}
    for task in tasks:
        if task.layer not in processes:
            pid = processes[task.layer] = len(processes) + 1
            events.append(_metadata("process_name", pid, 0, {"name": task.layer}))
            events.append(_metadata("process_sort_index", pid, 0, {"sort_index": pid}))
        pid = processes[task.layer]
        key = (task.layer, task.resource)
        if key not in threads:
            tid = threads[key] = 1 + sum(layer == task.layer for layer, _ in threads)
            events.append(_metadata("thread_name", pid, tid, {"name": task.resource}))
            events.append(_metadata("thread_sort_index", pid, tid, {"sort_index": tid}))
        events.append(
            {
                "name": task.name,
                "cat": task.resource,
                "ph": "X",
                "ts": task.start_s * MICROSECONDS,
                "dur": task.duration_s * MICROSECONDS,
                "pid": pid,
                "tid": threads[key],
                "args": {"start_s": task.start_s, "duration_s": task.duration_s},
            }
        )
    return {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {"title": title},
    }


def _metadata(name: str, pid: int, tid: int, args: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "ph": "M", "ts": 0.0, "pid": pid, "tid": tid, "args": args}
