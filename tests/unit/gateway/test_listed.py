"""What a light worker knows of its models is what LiteLLM's router says of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import litellm
import orjson
import pytest
import yaml
from litellm import Router
from litellm.proxy import proxy_server
from litellm.proxy.utils import create_model_info_response
from litellm.utils import _invalidate_model_cost_lowercase_map

from aiops.gateway.worker import price_map, routing
from aiops.gateway.worker.lanes.models import Listing
from aiops.gateway.worker.listed import Listed
from aiops.gateway.worker.settings import CONFIG_FILE
from aiops.spec.names import HIDDEN
from aiops.spec.shapes.provider_types import TYPES

CASES = Path(__file__).parents[2] / "cases" / "render"
# Of the map: by one provider alone, by several, with a price for long prompts; and one that is in no map.
MODELS = ("gpt-4o", "gpt-5-nano", "gemini-2.5-pro", "deepseek-chat", "mistral-large-latest", "tiny")


@pytest.fixture(params=sorted(path.name for path in CASES.iterdir()))
def config(request: pytest.FixtureRequest) -> Path:
    return CASES / str(request.param) / "release" / CONFIG_FILE


def by_litellm(config: Path, monkeypatch: pytest.MonkeyPatch) -> routing.LiteLLMModels:
    """With a map of its own: a router enters its deployments in it, for good."""
    monkeypatch.setattr(litellm, "model_cost", copy.deepcopy(litellm.model_cost))
    _invalidate_model_cost_lowercase_map()
    data = yaml.safe_load(config.read_text())
    settings = data.get("router_settings") or {}
    router = Router(model_list=data.get("model_list") or [], fallbacks=settings.get("fallbacks") or [])
    monkeypatch.setattr("litellm.proxy.proxy_server.llm_router", router)
    return routing.LiteLLMModels()


def test_the_models_of_a_release_are_what_litellm_says(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = by_litellm(config, monkeypatch), Listed.read(config)
    assert ours.deployments() == theirs.deployments()
    assert ours.places() == theirs.places()
    assert ours.limited() == theirs.limited()
    names = [*ours.names, *sorted(ours.deployments()), "nobody", ", ".join(ours.names), f"{ours.names[0]},nobody"]
    for name in names:
        assert ours.knows(name) == theirs.knows(name), name
        assert ours.fallbacks(name) == theirs.fallbacks(name), name
    for name in ours.names:
        assert ours.provider(name) == theirs.provider(name), name


@pytest.mark.parametrize("free", [None, ()])
def test_so_are_its_prices(config: Path, free: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = by_litellm(config, monkeypatch).prices(free), Listed.read(config).prices(free)
    for id in Listed.read(config).deployments():
        assert ours.deployment(id) == theirs.deployment(id)


def test_so_are_prices_of_known_models_at_every_type_of_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [_model(kind.prefix, name, f"{type}-{name}") for type, kind in TYPES.items() for name in MODELS]
    config = tmp_path / CONFIG_FILE
    config.write_text(yaml.safe_dump({"model_list": models}))
    theirs, ours = by_litellm(config, monkeypatch).prices(()), Listed.read(config).prices(())
    found = {model["model_name"]: ours.deployment(model["model_name"]) for model in models}
    assert found == {name: theirs.deployment(name) for name in found}
    assert found["openai-gpt-4o"].price is not None and found["vllm-gpt-4o"].price is None  # type: ignore[union-attr]


def _model(prefix: str, name: str, id: str) -> dict[str, Any]:
    params = {"model": f"{prefix}/{name}", "api_base": "https://llm.example.com/v1", "api_key": "none"}
    return {"model_name": id, "litellm_params": params, "model_info": {"id": id, "provider": id, "mode": "chat"}}


@pytest.mark.parametrize("anthropic", [False, True])
def test_the_list_of_models_is_litellms(config: Path, anthropic: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    by_litellm(config, monkeypatch)
    models = Listed.read(config)
    headers = [(b"anthropic-version", b"2023-06-01")] if anthropic else []
    asked = {"type": "http", "method": "GET", "path": "/v1/models", "query_string": b"", "headers": headers}
    found = Listing(models).answer(asked)
    if anthropic:  # in another shape
        assert found is None
        return
    assert found is not None
    said = json.loads(found[1])
    router = proxy_server.llm_router
    names = [name for name in dict.fromkeys(router.get_model_names()) if not name.startswith(HIDDEN)]
    assert said["data"] == [create_model_info_response(name, "openai", llm_router=router) for name in names]
    for entry in said["data"]:
        assert Listing(models).answer({**asked, "path": f"/v1/models/{entry['id']}"}) == (200, orjson.dumps(entry))


def test_so_is_that_of_known_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [_model(kind.prefix, name, f"{type}-{name}") for type, kind in TYPES.items() for name in MODELS]
    models += [
        {**one, "model_name": "gpt-4o"} for one in (_model("openai", "gpt-4o", "a"), _model("openai", "tiny", "b"))
    ]
    config = tmp_path / CONFIG_FILE
    config.write_text(yaml.safe_dump({"model_list": models}))
    by_litellm(config, monkeypatch)
    found = Listing(Listed.read(config)).answer({"type": "http", "method": "GET", "path": "/models", "headers": []})
    assert found is not None
    for entry in json.loads(found[1])["data"]:
        if entry["id"].startswith("azure-"):  # LiteLLM looks those up in a way of their own
            continue
        theirs = create_model_info_response(entry["id"], "openai", llm_router=proxy_server.llm_router)
        assert entry == theirs


def test_what_is_asked_with_options_is_not_answered_here(config: Path) -> None:
    listing = Listing(Listed.read(config))
    asked = {"type": "http", "method": "GET", "path": "/v1/models", "headers": []}
    assert listing.answer({**asked, "query_string": b"include_metadata=true"}) is None
    assert listing.answer({**asked, "path": "/v1/models/nobody"}) is None
    assert listing.answer({**asked, "path": "/v1/model/info"}) is None


def test_the_map_is_the_one_that_is_installed_every_entry_of_it() -> None:
    path = Path(litellm.__file__).parent / price_map.NAME
    whole = json.loads(path.read_bytes())
    found = price_map.known()
    assert len(whole) > 1000
    assert {name: found.get(name) for name in whole} == whole
    assert found.get("nobody") is None


@pytest.mark.parametrize("options", [{}, {"indent": 1}, {"indent": 4, "ensure_ascii": False}])
def test_a_map_is_read_however_it_is_written(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / price_map.NAME
    models = {"a": {"mode": "chat", "more": {"x": {}}}, 'b"é': {}, "c": {"mode": "}"}}
    path.write_text(json.dumps(models, **options))
    found = price_map.PriceMap(path)
    assert {name: found.get(name) for name in models} == models
    assert found.get("d") is None
    assert price_map.PriceMap(None).get("a") is None


@pytest.mark.parametrize("text", ["model_list: [", "model_list: [1]", "[]", "model_list: [{model_name: a}]"])
def test_a_damaged_configuration_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    config = tmp_path / CONFIG_FILE
    config.write_text(text)
    with pytest.raises(ValueError, match="is damaged"):
        Listed.read(config)
