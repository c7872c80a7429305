"""aiops.yaml, key by key."""

from __future__ import annotations

from tests.effects.case import Case, Flips, Refuses, ShownBy

SHARED = "deployment:\n  database_url_file: database_url\n  redis_url_file: redis_url"

ON_ALL = "tests/distributed/test_replicas.py::test_a_revoked_key_is_refused_by_every_replica_when_the_receipt_says_so"

CASES: dict[str, Case] = {
    "gateway.host": Flips(
        "host: 127.0.0.1",
        "host: 0.0.0.0",
        '"host": "0.0.0.0"',
        live=True,
    ),
    "gateway.port": Flips("port: 4000", "port: 4001", '"port": 4001', live=True),
    "gateway.admin_port": Flips(
        "  retries: 0", "  retries: 0\n  admin_port: 4001", '"admin": {"host": "127.0.0.1", "port": 4001}', live=True
    ),
    "gateway.admin_host": Flips(
        "  retries: 0",
        "  retries: 0\n  admin_port: 4001\n  admin_host: 127.0.0.2",
        '"admin": {"host": "127.0.0.2", "port": 4001}',
        live=True,
    ),
    "gateway.workers": Flips(
        "workers: 1",
        "workers: 2",
        '"workers": 2',
        live=True,
    ),
    "gateway.drain_seconds": Flips(
        "drain_seconds: 60",
        "drain_seconds: 5",
        '"drain_seconds": 5',
        live=True,
    ),
    "gateway.request_timeout": Flips(
        "request_timeout: 90",
        "request_timeout: 91",
        '"request_timeout": 91',
        live=True,
    ),
    "gateway.stream_timeout": Flips(
        "stream_timeout: 30",
        "stream_timeout: 31",
        '"stream_timeout": 31',
        live=True,
    ),
    "gateway.retries": Flips(
        "retries: 0",
        "retries: 1",
        '"num_retries": 1',
        live=True,
    ),
    "gateway.expose": Flips(
        "  retries: 0",
        "  retries: 0\n  expose: [openapi]",
        '"openapi"',
        live="tests/e2e/test_exposed.py::test_a_group_is_opened_by_its_name_and_a_key_is_still_asked",
    ),
    "gateway.lanes": Flips("  retries: 0", "  retries: 0\n  lanes: litellm", "`gateway.lanes: litellm`", live=True),
    "mode": Flips("mode: standalone", f"mode: distributed\n{SHARED}", '"deployment"', live=ON_ALL),
    "deployment.mode": Flips("mode: standalone", f"{SHARED}\n  mode: distributed", '"deployment"', live=ON_ALL),
    "deployment.database_url_file": Refuses(
        "mode: standalone", "mode: distributed", "`deployment.database_url_file` does not say which"
    ),
    "deployment.redis_url_file": Refuses(
        "mode: standalone", "mode: distributed", "`deployment.redis_url_file` does not say which"
    ),
    "deployment.replica": Flips(
        "mode: standalone", f"mode: distributed\n{SHARED}\n  replica: box-7", '"box-7"', live=ON_ALL
    ),
    "cache.ttl": Flips(
        "mode: standalone",
        f"mode: distributed\n{SHARED}\ncache: {{ttl: 300}}",
        '"ttl": 300.0',
        live=True,
    ),
    "cache.most_bytes": Flips(
        "mode: standalone",
        f"mode: distributed\n{SHARED}\ncache: {{ttl: 300, most_bytes: 1048576}}",
        '"most_bytes": 1048576',
        live=True,
    ),
    "profile": ShownBy(),
    "supervisor": ShownBy(),
    "container.image": ShownBy(),
    "container.engine": ShownBy(),
    "verify.billable": ShownBy(),
    "verify.every_model": ShownBy(),
    "verify.timeout": ShownBy(),
    "verify.confirm_seconds": ShownBy(),
    "history.keep": ShownBy(),
    "keys.over_budget_status": Flips(
        "over_budget_status: 429",
        "over_budget_status: 422",
        '"over_budget_status": 422',
        live="tests/e2e/test_keys.py::test_a_key_that_has_spent_its_budget_is_told_so_with_the_status_of_the_settings",
    ),
    "usage.keep_days": Flips(
        "keep_days: 400",
        "keep_days: 30",
        '"usage_keep_days": 30',
        live=True,
    ),
    "master_key_file": Flips(
        "master_key_file: /etc/aiops/key",
        "master_key_file: /etc/aiops/other",
        '"/etc/aiops/other"',
        live=True,
    ),
}
