"""aiops.yaml, key by key."""

from __future__ import annotations

from tests.effects.case import Case, Flips, Refuses, ShownBy

PORT = "tests/e2e/test_hand_edits.py::test_a_change_of_port_moves_to_the_new_one_and_closes_the_old"
SETTINGS_TEST = "tests/e2e/test_settings.py"

CASES: dict[str, Case] = {
    "gateway.host": Flips(
        "host: 127.0.0.1",
        "host: 0.0.0.0",
        '"host": "0.0.0.0"',
        live=f"{SETTINGS_TEST}::test_it_listens_where_it_is_told",
    ),
    "gateway.port": Flips("port: 4000", "port: 4001", '"port": 4001', live=PORT),
    "gateway.workers": Flips(
        "workers: 1",
        "workers: 2",
        '"workers": 2',
        live="tests/e2e/test_hand_edits.py::test_two_workers_serve_the_same_generation",
    ),
    "gateway.drain_seconds": Flips(
        "drain_seconds: 60",
        "drain_seconds: 5",
        '"drain_seconds": 5',
        live="tests/e2e/test_live_traffic.py::test_the_drain_limit_is_respected",
    ),
    "gateway.request_timeout": Flips(
        "request_timeout: 90",
        "request_timeout: 91",
        '"request_timeout": 91',
        live=f"{SETTINGS_TEST}::test_a_provider_that_hangs_is_given_up_in_time",
    ),
    "gateway.stream_timeout": Flips(
        "stream_timeout: 30",
        "stream_timeout: 31",
        '"stream_timeout": 31',
        live=f"{SETTINGS_TEST}::test_a_stream_that_does_not_begin_is_given_up_in_time",
    ),
    "gateway.retries": Flips(
        "retries: 0",
        "retries: 1",
        '"num_retries": 1',
        live=f"{SETTINGS_TEST}::test_a_failed_request_is_tried_again_as_often_as_allowed",
    ),
    "gateway.expose": Flips(
        "  retries: 0",
        "  retries: 0\n  expose: [openapi]",
        '"openapi"',
        live="tests/e2e/test_exposed.py::test_a_group_is_opened_by_its_name_and_a_key_is_still_asked",
    ),
    "mode": Refuses("mode: standalone", "mode: distributed", "`mode: distributed` is not supported by this version"),
    "profile": ShownBy(
        "tests/unit/spec/test_resolve.py::test_the_profile_says_how_groups_choose_where_nothing_else_does"
    ),
    "supervisor": ShownBy("tests/lab/test_systemd.py::test_up_makes_a_service_that_systemd_and_status_agree_on"),
    "container.image": ShownBy("tests/lab/test_container.py::test_it_is_a_unit_and_a_second_up_changes_nothing"),
    "container.engine": ShownBy("tests/lab/test_container.py::test_without_an_engine_it_is_refused_with_what_to_type"),
    "verify.billable": ShownBy("tests/e2e/test_verify.py::test_what_costs_money_is_skipped_until_it_is_allowed"),
    "verify.timeout": ShownBy(f"{SETTINGS_TEST}::test_a_proof_takes_no_longer_than_it_may"),
    "verify.confirm_seconds": ShownBy(
        "tests/faults/test_interrupted.py::test_the_master_reverts_by_itself_when_nobody_confirms_in_time"
    ),
    "history.keep": ShownBy(f"{SETTINGS_TEST}::test_no_more_generations_are_kept_than_asked_for"),
    "master_key_file": Flips(
        "master_key_file: /etc/aiops/key",
        "master_key_file: /etc/aiops/other",
        '"/etc/aiops/other"',
        live=f"{SETTINGS_TEST}::test_the_master_key_may_be_kept_elsewhere",
    ),
}
