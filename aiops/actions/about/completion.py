"""``aiops completion``: the script that lets a shell ask aiops what may come next."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")

# Bash splits a line at colons, too, and replaces what is behind the last one; Ollama's names have one in the middle.
# So the words are taken from the line itself, and of each name what is there already is left out.
_COLONS = """
%(function)s_of_line() {
    local line=${COMP_LINE:0:COMP_POINT} COMP_CWORD word
    local -a COMP_WORDS
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *[[:space:]] ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    word=${COMP_WORDS[COMP_CWORD]}
    %(function)s "$@"
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%%"${word##*:}"}"}")
    fi
}

complete -o nosort -F %(function)s_of_line %(name)s
"""


def completion(program: click.Command, name: str, shell: str) -> str:
    """For one of ``SHELLS``; it has ``name`` print what may come next whenever the tabulator is pressed."""
    made = get_completion_class(shell)
    assert made is not None  # click has all of SHELLS
    words = made(program, {}, name, f"_{name.upper()}_COMPLETE")
    colons = _COLONS % {"function": words.func_name, "name": name} if shell == "bash" else ""
    return (words.source() + colons).strip()
