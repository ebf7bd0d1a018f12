"""The house's own rules: small rooms, every module says what it is, one error tree, a valid cluster.yaml."""

from __future__ import annotations

import ast
import importlib
import pickle
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import phonefarm
from phonefarm import errors
from phonefarm.core.planning import plan
from phonefarm.models.action import REPEATABLE, ActionKind
from phonefarm.models.requests_maintenance import STEPS
from phonefarm.models.states import Capability
from tests.farmtools import keyword_inputs

ROOT = Path(phonefarm.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 60


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", FILES, ids=name)
def test_rooms_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module's docstring is its theory of operation"
    assert text.count("\n") <= LONGEST_FILE
    for function in functions(tree):
        length = (function.end_lineno or 0) - function.lineno
        assert length <= LONGEST_FUNCTION, f"{function.name} has {length} lines"


def every_class(base: type[errors.PhoneFarmError]) -> set[type[errors.PhoneFarmError]]:
    found: set[type[errors.PhoneFarmError]] = set(base.__subclasses__())
    return found | {deeper for cls in found for deeper in every_class(cls)}


def test_every_error_has_a_code_and_a_next_step_and_survives_an_actor_border() -> None:
    for module in pkgutil.walk_packages(phonefarm.__path__, "phonefarm."):
        if not module.name.startswith(("phonefarm.vphone", "phonefarm.store.migrations", "phonefarm.cli.__main__")):
            importlib.import_module(module.name)
    kinds = {c for c in every_class(errors.PhoneFarmError) if c.__module__.startswith("phonefarm.")}
    assert len(kinds) > 20
    for kind in kinds:
        assert kind.code, kind
        assert kind.next_step, kind
        assert kind.__doc__ or kind.__module__ == "phonefarm.errors", kind


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFound("unknown_phone", "unknown_phone:X", extra={"a": 1}),
        errors.ValidationFailed([errors.Fault(loc=("a", 1), code="c:d", msg="m")]),
        errors.SessionStopped("cancelled"),
        errors.DeviceLost("gone"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_are_the_same_after_pickling(error: errors.PhoneFarmError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.__dict__ == error.__dict__
    assert str(again) == str(error)


def test_the_drawing_of_the_error_tree_names_every_error() -> None:
    drawn = errors.__doc__ or ""
    for cls in every_class(errors.PhoneFarmError):
        if cls.__module__ == "phonefarm.errors":
            assert cls.__name__ in drawn, cls


LOOKS_AND_READS = {"open_app", "search", "open_result", "watch", "feed_video", "screenshot", "close_app"}
UPKEEP = {
    "health_check",
    "collect_diagnostics",
    "restart_app",
    "clear_app_cache",
    "free_storage",
    "install_app",
    "update_settings",
    "reboot",
    "edit_profile",
}


def test_the_action_vocabulary_only_looks_and_reads() -> None:
    """A new action is added here on purpose or not at all. Sessions use the first set, an operator's upkeep both."""
    assert {kind.value for kind in ActionKind} == LOOKS_AND_READS | UPKEEP
    assert set(REPEATABLE) == set(ActionKind)
    assert set(STEPS) == UPKEEP | {"screenshot"}
    for capability, inputs in ((Capability.KEYWORD_WARMUP, keyword_inputs()), (Capability.FYP_WARMUP, FYP_INPUTS)):
        assert {action.kind.value for action in plan(capability, inputs)} <= LOOKS_AND_READS


FYP_INPUTS = {
    "app": "feed",
    "max_videos": 2,
    "interests": [],
    "watch_seconds": {"min": 1, "max": 2},
    "skip_seconds": {"min": 0, "max": 1},
}


def test_nothing_waits_by_a_call_that_loses_cancellations() -> None:
    """Python 3.11's ``asyncio.wait_for`` does, when what it waits for ends just then; ``asyncio.timeout`` does not."""
    users = [path for path in FILES if "asyncio.wait_for(" in path.read_text("utf-8") and "phonefarm" in path.parts]
    assert not users, users


def test_cluster_yaml_is_valid_for_ray_s_launcher() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((ROOT.parent / "cluster.yaml").read_text())
    validate_config(prepare_config(config))


def test_no_file_names_a_place_of_somebody_s_machine() -> None:
    text_of = {
        path: path.read_text() for path in [*FILES, *ROOT.parent.glob("*.md"), *ROOT.parent.glob("docs/**/*.md")]
    }
    for path, text in text_of.items():
        assert "/home/" not in text, path
        assert "/root/" not in text, path
