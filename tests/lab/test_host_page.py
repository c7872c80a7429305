"""docs/host.md, run to the letter on a fresh machine by somebody without root; and then the reboot it promises."""

from __future__ import annotations

import shlex

import pytest

from tests.docs.console import commands, missing
from tests.lab.gateway import until
from tests.lab.host import Host
from tests.lab.places import CHECKOUT

# Where the page's address leads on a machine without a network; and a model server, which the page takes for granted.
CLONE_FROM = "/srv/aiops.git"
MODEL_SERVER = """[Service]
ExecStart=/srv/venv/bin/python -m aiops.demo llama-cpp --port 8080 --dir %h/models
[Install]
WantedBy=default.target
"""


@pytest.mark.timeout(600)
def test_the_page_leads_from_a_clone_to_a_gateway_that_survives_a_reboot(own_host: Host) -> None:
    own_host.run("mkdir -p ~/.config/systemd/user && cat > ~/.config/systemd/user/llama.service", stdin=MODEL_SERVER)
    own_host.run("systemctl --user daemon-reload && systemctl --user enable --quiet --now llama")
    page = (CHECKOUT / "docs/host.md").read_text().replace("https://example.org/aiops.git", CLONE_FROM)
    before = "set -e -o pipefail; export USER=ops; cd; "
    state = "$HOME/.page"  # directory and variables, carried from one command to the next like in one shell
    own_host.run(f"rm -f {state}")
    for command in commands(page):
        resume = f"[ ! -f {state} ] || . {state}; set +e"
        keep = f"code=$?; {{ declare -px; echo cd $PWD; }} > {state}; exit $code"
        shell = f"{before} {resume}\n{command.text}\n{keep}"
        done = own_host.run(f"bash -c {shlex.quote(shell)}", check=False, timeout=420)
        assert done.code == command.exit_code, f"docs/host.md:{command.line}: {command.text}\n{done.out}\n{done.err}"
        lacking = missing(command.expected, done.out)
        assert lacking is None, f"docs/host.md:{command.line}: {command.text} did not print {lacking!r}:\n{done.out}"

    own_host.restart()

    ask = f'. {state}; curl -s $OPENAI_BASE_URL/models -H "Authorization: Bearer $OPENAI_API_KEY"'
    until(lambda: '"id"' in own_host.run(ask, check=False).out, 60, "a model after the reboot")
    assert '"generation": 2' in own_host.run(f". {state}; aiops --json status").out

    assert "what aiops made is taken away" in own_host.run(f". {state}; aiops --yes uninstall").out
    assert own_host.run("systemctl --user list-unit-files --no-legend 'litellm*'", check=False).out == ""
    assert own_host.run("pgrep --uid ops --full aiops.gateway", check=False).out == ""
    assert own_host.run("curl -s http://127.0.0.1:4000/", check=False).code == 7, "nobody listens"
    assert "\n  local:\n" in own_host.run("cat ~/.config/aiops/providers.yaml").out, "what people wrote stays"
    assert "nothing of aiops is in" in own_host.run(f". {state}; aiops uninstall").out
