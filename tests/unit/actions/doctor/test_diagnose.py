"""``aiops doctor`` looks at everything: what it finds first hides nothing that comes after."""

from __future__ import annotations

import socket
from pathlib import Path

from aiops.actions.doctor.diagnose import diagnose
from aiops.host.instance import locate
from aiops.host.setup import make_instance


def test_a_master_key_that_others_can_read_hides_no_port_that_nobody_listens_on(tmp_path: Path) -> None:
    instance = locate(tmp_path / "home")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    make_instance(instance, profile=None, supervisor="process", port=free)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        silent = taken.getsockname()[1]
    (instance.config / "ports.yaml").write_text(f"cache: {{port: {silent}, required: true}}\n")
    instance.master_key.chmod(0o644)
    wrong = [finding.what for finding in diagnose(instance) if not finding.ok]
    assert any("others can read the master key" in what for what in wrong)
    assert any(f"port {silent} (cache)" in what for what in wrong)
