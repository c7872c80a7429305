"""ports.yaml, key by key: it judges providers, and tells `aiops doctor` what to expect."""

from __future__ import annotations

from tests.effects.case import Case, Expects, Refuses

CASES: dict[str, Case] = {
    "port": Refuses("port: 8002", "port: 8003", "`third` is on port 8002, but ports.yaml"),
    "protocol": Refuses("protocol: http", "protocol: https", "`third` speaks https"),
    "required": Expects(
        "required: false", "required: true", "name='grafana', source='ports.yaml', unit=None, required=True"
    ),
    "service": Expects("service: third.service", "service: other.service", "unit='other.service'"),
    "description": Expects("description: the third", "description: number three", "number three"),
    "health_check": Expects("health_check: curl here", "health_check: curl there", "check='curl there'"),
    "notes": Expects("notes: n9", "notes: n10", "the third: n10"),
}
