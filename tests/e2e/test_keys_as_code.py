"""keys.yaml on a real gateway: planned, applied, drifted, rolled back, and killed in the middle."""

from __future__ import annotations

import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.faults.harness import Fault, run_with_fault
from tests.kit.gateway import Gateway
from tests.kit.waiting import until

LIVE_SECONDS = 1.0
