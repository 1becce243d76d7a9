"""What is said of several variants alike is one note; clocks to settle are paid for in every workload."""

from __future__ import annotations

from mho import run


def test_one_note_for_all_variants_of_which_the_same_is_said() -> None:
    metrics = run("spgemm_tiny")
    names = {variant["name"] for variant in metrics["variants"]}
    said: dict[str, int] = {}
    for note in metrics["notes"]:
        before, _, rest = note.partition(": ")
        if set(before.split(", ")) <= names:
            said[rest] = said.get(rest, 0) + 1
    assert said
    assert set(said.values()) == {1}


def test_clocks_to_settle_take_time_on_sparse_tiles() -> None:
    slow, fast = (run("spgemm_tiny", sets=(f"chip.front_end.settle_clocks={clocks}",)) for clocks in (4, 1))
    assert slow["variants"][0]["cost"]["latency_s"] > fast["variants"][0]["cost"]["latency_s"]
