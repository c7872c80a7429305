from __future__ import annotations

import pytest

from aiops.gateway.worker.settings import MASTER_KEY_VARIABLE
from tests.unit.gateway.front.place import MASTER


@pytest.fixture(autouse=True)
def master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MASTER_KEY_VARIABLE, MASTER)
