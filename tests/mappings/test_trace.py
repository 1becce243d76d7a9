from __future__ import annotations

import json

import pytest

from mappings.actions import Schedule
from mappings.trace import trace


def two_layers() -> list:
    first, second = Schedule("lstm"), Schedule("output")
    drive = first.add("drive", "word_lines", 30e-9)
    first.add("ramp", "gate_ramp", 37e-9, after=(drive,))
    first.add("drive again", "word_lines", 30e-9)
    second.add("drive", "word_lines", 10e-9)
    return first.tasks + second.tasks


def test_events_carry_the_fields_of_the_trace_format() -> None:
    document = json.loads(json.dumps(trace(two_layers(), title="kws")))
    assert document["displayTimeUnit"] == "ns"
    assert document["otherData"]["title"] == "kws"
    for event in document["traceEvents"]:
        assert {"name", "ph", "ts", "pid", "tid"} <= set(event)
        assert event["ph"] in "XM"
        assert isinstance(event["ts"], float)
        if event["ph"] == "X":
            assert isinstance(event["dur"], float)
            assert event["dur"] >= 0
            assert event["cat"]


def test_times_are_microseconds() -> None:
    bars = [event for event in trace(two_layers())["traceEvents"] if event["ph"] == "X"]
    assert (bars[1]["ts"], bars[1]["dur"]) == (pytest.approx(0.030), pytest.approx(0.037))


def test_one_process_a_layer_and_one_named_thread_a_resource() -> None:
    events = trace(two_layers())["traceEvents"]
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    layers = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert sorted(layers.values()) == ["lstm", "output"]
    assert sorted(names.values()) == ["gate_ramp", "word_lines", "word_lines"]
    for bar in (e for e in events if e["ph"] == "X"):
        assert names[bar["pid"], bar["tid"]] == bar["cat"]


def test_bars_of_one_thread_do_not_overlap() -> None:
    ends: dict[tuple[int, int], float] = {}
    for bar in (e for e in trace(two_layers())["traceEvents"] if e["ph"] == "X"):
        thread = (bar["pid"], bar["tid"])
        assert bar["ts"] >= ends.get(thread, 0.0)
        ends[thread] = bar["ts"] + bar["dur"]


def test_no_tasks_give_an_empty_trace() -> None:
    assert trace([])["traceEvents"] == []
