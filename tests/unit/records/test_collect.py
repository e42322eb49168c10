"""The cost ledger."""

from __future__ import annotations

from typing import Any

from claimbench.records.costs import ledger


def row(**values: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("wall_s", "cpu_s", "gpu_s", "peak_rss_mb", "peak_gpu_mb", "gpu_j"))
    return {"tier": "laptop", "paper": "p", "experiment": "e", **empty, **values}


def test_ledger_adds_seconds_and_keeps_peaks() -> None:
    found = ledger([row(wall_s=1.0, cpu_s=2.0, peak_rss_mb=10.0), row(wall_s=3.0, cpu_s=1.0, peak_rss_mb=30.0), row()])
    (entry,) = found
    assert (entry["runs"], entry["wall_s"], entry["cpu_s"], entry["peak_rss_mb"]) == (3, 4.0, 3.0, 30.0)
    assert (entry["gpu_s"], entry["gpu_j"], entry["energy_source"]) == (None, None, "none")


def test_energy_needs_a_reading_of_every_run_on_a_gpu() -> None:
    counted = [row(gpu_s=1.0, gpu_j=5.0), row(gpu_s=2.0, gpu_j=7.0), row()]
    assert ledger(counted)[0]["gpu_j"] == 12.0
    assert ledger(counted)[0]["energy_source"].startswith("NVML")
    assert ledger([*counted, row(gpu_s=1.0)])[0]["gpu_j"] is None


def test_experiments_are_apart() -> None:
    found = ledger([row(wall_s=1.0, experiment="a"), row(wall_s=2.0, experiment="b"), row(wall_s=4.0, experiment="a")])
    assert [(entry["experiment"], entry["wall_s"]) for entry in found] == [("a", 5.0), ("b", 2.0)]
