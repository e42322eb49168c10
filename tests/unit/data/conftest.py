"""A mirror when one is named, and a data folder that the tests of this folder share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of CLAIMBENCH_MIRROR; tests on real data are skipped without it."""
    named = os.environ.get("CLAIMBENCH_MIRROR", "")
    if not named:
        pytest.skip("CLAIMBENCH_MIRROR names no folder with the data sets, for example ../shared/data")
    if not Path(named).is_dir():
        pytest.skip(f"CLAIMBENCH_MIRROR is {named}, which is not a folder")
    return Path(named).resolve()


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which each real dataset is prepared only once."""
    return tmp_path_factory.mktemp("data")
