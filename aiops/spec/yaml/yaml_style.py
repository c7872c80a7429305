"""How a YAML file that somebody wrote is indented, so that what is added looks like the rest."""

from __future__ import annotations

from collections.abc import Iterator

from yaml.nodes import MappingNode, Node, ScalarNode

from aiops.spec.yaml.yaml_text import Style


def style_of(root: Node | None) -> Style:
    """How the file indents: the first nested mapping and the first list under a key decide."""
    step = dash = None
    for owner, node in _nested(root):
        offset = node.start_mark.column - owner.start_mark.column
        if isinstance(node, MappingNode):
            step = step or (offset if offset > 0 else None)
        elif dash is None and offset >= 0:
            dash = offset
        if step and dash is not None:
            break
    step = step or 2
    return Style(step, dash if dash is not None else step)


def _nested(root: Node | None) -> Iterator[tuple[Node, Node]]:
    waiting = [root] if isinstance(root, MappingNode) else []
    seen: set[int] = set()
    while waiting:
        node = waiting.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        for owner, value in node.value:
            if isinstance(value, ScalarNode) or value.flow_style or not value.value:
                continue
            yield owner, value
            if isinstance(value, MappingNode):
                waiting.append(value)
