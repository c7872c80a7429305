"""How the gateway's container is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aiops.render.container import ContainerFacts, create, label_of, unit

TEMPLATE = (Path(__file__).resolve().parents[3] / "units/litellm-container.service").read_text()
FACTS = ContainerFacts(
    engine="/usr/bin/docker",
    image="sha256:0123456789abcdef",
    runtime="image-0123456789ab",
    host="127.0.0.1",
    port=4000,
    state="/home/ops/.local/state/aiops",
    run="/run/user/1000/aiops",
    secrets="/home/ops/.config/aiops/secrets",
    uid=1000,
    gid=1000,
    supervised=True,
)


def test_it_runs_as_the_owner_without_privileges_on_a_root_that_cannot_be_written() -> None:
    argv = create(FACTS)
    for option in ("--user=1000:1000", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"):
        assert option in argv


def test_its_places_are_mounted_where_they_are_and_secrets_cannot_be_written() -> None:
    mounts = [option for option in create(FACTS) if option.startswith("--mount")]
    assert mounts == [
        "--mount=type=bind,source=/home/ops/.local/state/aiops,target=/home/ops/.local/state/aiops",
        "--mount=type=bind,source=/run/user/1000/aiops,target=/run/user/1000/aiops",
        "--mount=type=bind,source=/home/ops/.config/aiops/secrets,target=/home/ops/.config/aiops/secrets,readonly",
    ]


def test_another_port_or_image_is_another_definition_and_the_same_facts_are_the_same() -> None:
    assert label_of(create(FACTS)) == label_of(create(replace(FACTS)))
    others = (replace(FACTS, port=4001), replace(FACTS, image="sha256:1"), replace(FACTS, uid=1001))
    assert len({label_of(create(facts)) for facts in (FACTS, *others)}) == 4


def test_one_keeper_starts_it_again_the_unit_or_the_engine() -> None:
    assert "--restart=no" in create(FACTS)
    alone = replace(FACTS, supervised=False)
    assert "--restart=unless-stopped" in create(alone)
    # Its policy cannot be changed later: one whose successor serves must not come back when it has ended.
    assert "--restart=on-failure" in create(replace(alone, engine="/usr/bin/podman"))


def test_podman_of_an_ordinary_user_keeps_that_users_number() -> None:
    podman = replace(FACTS, engine="/usr/bin/podman", rootless=True)
    assert "--userns=keep-id" in create(podman)
    assert "--userns=keep-id" not in create(replace(podman, rootless=False))


def test_every_place_in_the_unit_is_filled_in() -> None:
    text = unit(FACTS, TEMPLATE, "default.target").decode()
    assert "{{" not in text
    assert "ExecStart=/usr/bin/python3 -m aiops.host.container_unit run --engine /usr/bin/docker" in text


def test_the_unit_is_the_same_for_every_image_so_that_an_upgrade_does_not_touch_it() -> None:
    other = replace(FACTS, image="sha256:fedcba9876543210", runtime="image-fedcba987654")
    assert unit(FACTS, TEMPLATE, "default.target") == unit(other, TEMPLATE, "default.target")
