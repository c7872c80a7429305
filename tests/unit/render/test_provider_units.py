"""What is written for the unit of a provider, and what is recognised of it later."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from aiops.actions.instance.units import templates
from aiops.render.provider_units import (
    KINDS,
    differences,
    is_ours,
    is_signed,
    program_of,
    read_variables,
    render_template,
    variables,
    with_variables,
)
from aiops.spec.shapes.model import ModelSpec, Provider
from tests.unit.render.test_units import facts

VLLM = Provider(name="qwen", type="vllm", base_url="http://127.0.0.1:8001", models=(ModelSpec(name="qwen"),))
LLAMA = VLLM.model_copy(update={"type": "llama_cpp"})


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.stem)
@pytest.mark.parametrize("program", ["/usr/local/bin/server", "/opt/with space/100%/server"])
def test_a_unit_is_known_as_ours_until_it_is_edited(kind: object, program: str) -> None:
    unit = render_template(facts("user"), templates(), kind, program)  # type: ignore[arg-type]
    assert is_ours(unit)
    assert program_of(unit) == program
    edited = unit.replace(b"UMask=0077", b"UMask=0022")
    assert edited != unit
    assert (is_ours(edited), is_signed(edited)) == (False, True)
    assert not is_ours(unit + b"Nice=5\n")
    assert not is_ours(b"[Service]\nExecStart=/usr/local/bin/ollama serve\n")


@pytest.mark.parametrize(
    ("kind", "unit", "instance"),
    [
        ("vllm", "vllm@qwen.service", "qwen"),
        ("vllm", "vllm@qwen-2.5_7b.service", "qwen-2.5_7b"),
        ("vllm", "vllm.service", None),
        ("vllm", "double@qwen.service", None),
        ("vllm", "vllm@../x.service", None),
        ("ollama", "ollama.service", ""),
        ("ollama", "ollama@a.service", None),
    ],
)
def test_only_units_of_its_template_are_installed(kind: str, unit: str, instance: str | None) -> None:
    assert KINDS[kind].instance(unit) == instance


def test_vllm_serves_under_the_names_that_people_ask_for() -> None:
    assert variables(VLLM, 8001, "/models/qwen2.5", None, {}, None) == {
        "MODEL": "/models/qwen2.5",
        "PORT": "8001",
        "ARGS": "--served-model-name qwen",
    }
    assert variables(VLLM, 8001, "qwen", None, {}, None)["ARGS"] == "", "it is loaded under that name"
    own = variables(VLLM, 8001, "/m", "--served-model-name other", {}, None)
    assert own["ARGS"] == "--served-model-name other"
    assert "ARGS" not in variables(LLAMA, 8001, "/m.gguf", None, {}, None)


def test_what_is_not_asked_for_stays_and_the_port_follows_providers_yaml() -> None:
    present = {"MODEL": "/m.gguf", "PORT": "1", "ARGS": "--parallel 4"}
    assert {**present, **variables(LLAMA, 8001, None, None, present, None)} == {**present, "PORT": "8001"}


def test_lines_of_other_people_stay_in_the_file_of_variables() -> None:
    text = "# mine\nCUDA_VISIBLE_DEVICES=1\nPORT=1\n\nMODEL='/a b.gguf'\n"
    after = with_variables(text, {"PORT": "8001", "MODEL": "/a b.gguf", "ARGS": "--parallel 4"}, "u.service")
    assert after == "# mine\nCUDA_VISIBLE_DEVICES=1\nPORT=8001\n\nMODEL='/a b.gguf'\nARGS=--parallel 4\n"
    assert with_variables(after, {"PORT": "8001"}, "u.service") == after


@pytest.mark.parametrize(
    "value", ["/plain", "/a b.gguf", 'say "hi"', "back\\slash", "$HOME `x`", "'", "--a '{\"b\": 1}'"]
)
def test_a_value_comes_back_as_it_was(value: str) -> None:
    assert read_variables(with_variables("", {"ARGS": value}, "u.service"))["ARGS"] == value


def test_a_shell_reads_quoted_values_the_same_way() -> None:
    text = with_variables("", {"ARGS": 'a "b" \\ $HOME'}, "u.service").splitlines()[-1]
    seen = subprocess.run(["sh", "-c", f'{text}; printf %s "$ARGS"'], capture_output=True, text=True, check=True)
    assert seen.stdout == 'a "b" \\ $HOME', shlex.quote(text)


def test_keys_of_servers_are_written_and_not_shown() -> None:
    values = variables(VLLM, 8001, "/m", None, {}, "sk-very-secret")
    assert values["VLLM_API_KEY"] == "sk-very-secret"
    told = differences({}, values)
    assert "VLLM_API_KEY=***" in told
    assert "sk-very-secret" not in "".join(told)
