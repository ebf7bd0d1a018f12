"""deploy/serve.yaml: Ray's own schema takes it, and it deploys what ``phonefarm up`` deploys."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from phonefarm.errors import ConfigError
from phonefarm.serve import deployment
from phonefarm.settings import API_KEY_ENV, Settings

pytestmark = pytest.mark.timeout(60)
FILE = Path(__file__).parents[3] / "deploy/serve.yaml"


@pytest.fixture
def config() -> ServeDeploySchema:
    return ServeDeploySchema.model_validate(yaml.safe_load(FILE.read_text()))


def built(settings: Settings) -> Any:
    """The deployment of an application."""
    return deployment.build(settings)._bound_deployment


def test_ray_s_schema_takes_it_and_it_names_our_application(config: ServeDeploySchema) -> None:
    (application,) = config.applications
    assert (application.name, application.route_prefix) == (deployment.APP, "/")
    module, _, name = application.import_path.partition(":")
    assert getattr(importlib.import_module(module), name) is deployment.application
    arguments = deployment.Arguments.model_validate(application.args)
    defaults = Settings(state_dir=Path("/"), db_url="")
    assert (arguments.app, arguments.callbacks_allow) == (defaults.app, defaults.callbacks_allow)
    assert (config.http_options.host, config.http_options.port) == (defaults.host, defaults.port)


def test_it_deploys_what_up_deploys(config: ServeDeploySchema) -> None:
    (application,) = config.applications
    (written,) = application.deployments
    made = built(Settings(state_dir=Path("/"), db_url="", api_key="k"))
    options = made.ray_actor_options or {}
    assert written.name == made.name
    assert written.num_replicas == made.num_replicas
    assert written.max_ongoing_requests == made.max_ongoing_requests
    assert written.graceful_shutdown_timeout_s == made._deployment_config.graceful_shutdown_timeout_s
    assert written.ray_actor_options.model_dump(exclude_unset=True) == {
        name: options[name] for name in ("num_cpus", "label_selector")
    }


def test_the_application_takes_the_farm_s_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(API_KEY_ENV, raising=False)
    arguments = deployment.Arguments(state_dir=tmp_path, replicas=3)
    with pytest.raises(ConfigError, match="API key"):
        deployment.application(arguments)
    (tmp_path / "api_key").write_text("pf_kept\n")
    seen: list[Settings] = []
    monkeypatch.setattr(deployment, "build", seen.append)
    deployment.application(arguments)
    monkeypatch.setenv(API_KEY_ENV, "pf_environment")
    deployment.application(arguments)
    assert [one.api_key for one in seen] == ["pf_kept", "pf_environment"]
    assert {one.replicas for one in seen} == {3}
