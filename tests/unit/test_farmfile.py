"""farm.yaml, its schema and its example are one; every fault is named by its place, with a cure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from phonefarm.errors import ConfigError
from phonefarm.farmfile import read_farm_file
from phonefarm.farmfile.example import example
from phonefarm.farmfile.keys import FILE
from phonefarm.farmfile.schema import schema
from phonefarm.farmfile.tree import Kind, Leaf, Node, Section
from phonefarm.settings import HealthSettings, HostSettings, Settings
from scripts.openapi import FARM_SCHEMA, farm_schema_text

pytestmark = pytest.mark.timeout(60)


def read(directory: Path, text: str) -> dict[str, Any]:
    file = directory / "farm.yaml"
    file.write_text(text, "utf-8")
    return read_farm_file(file)


def faults(directory: Path, text: str) -> list[str]:
    """What is said about a file, without its path."""
    with pytest.raises(ConfigError) as caught:
        read(directory, text)
    return [line.removeprefix(f"{directory / 'farm.yaml'}:") for line in caught.value.message.splitlines()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lease_second: 30", "1:1: unknown setting lease_second; did you mean 'lease_seconds'?"),
        ("x: 1", "1:1: unknown setting x; known are app, callbacks, check_seconds, delivery_seconds, groups, health, "
                 "hosts, lease_seconds, log_level, replicas, rescue_seconds, retention_days, tracing"),
        ("health:\n  batery: 20", "2:3: unknown setting health.batery; did you mean 'battery'?"),
        ("health:\n  battery: full", "2:12: health.battery must be a number of at least 0, such as 20"),
        ("lease_seconds: 0", "1:16: lease_seconds must be a number greater than 0, such as 30"),
        ("lease_seconds: .inf", "1:16: lease_seconds must be a number greater than 0, such as 30"),
        ("replicas: 1.5", "1:11: replicas must be a whole number greater than 0, such as 2"),
        ("replicas: true", "1:11: replicas must be a whole number greater than 0, such as 2"),
        ("health: {reboot: 1}", "1:18: health.reboot must be true or false, such as true"),
        ("app: 7", '1:6: app must be a text; write it in quotes: "7"'),
        ("groups:\n  a: [ABC, 0123]", '2:12: groups.a must be a list of texts; write it in quotes: "0123"'),
        ("groups:\n  a: ABC", "2:6: groups.a must be a list of texts, such as [R58M12ABCDE]"),
        ("groups:\n  7: [A]", '2:3: a name in groups must be a text; write it in quotes: "7"'),
        ("groups: [A]", "1:9: groups must be a mapping: lines of `name: value`"),
        ("- hosts", "1:1: the file must be a mapping: lines of `name: value`"),
        ("app: a\nreplicas: 1\napp: b", "3:1: app is given twice, first in line 1; take one away"),
        ("callbacks:\n  allow: [10.0.0.1/8]",
         "2:11: callbacks.allow: 10.0.0.1/8 has host bits set; write it as 10.0.0.0/8 or fd00::/8"),
        ("groups: {night: [A]}\nhealth:\n  groups:\n    nigth: {battery: 5}",
         "4:5: health.groups.nigth: there is no group 'nigth'; did you mean 'night'?"),
        ("health: {groups: {x: {}}}",
         "1:19: health.groups.x: there is no group 'x'; name it under groups or hosts.*.groups first"),
        ("hosts:\n  h: {usb: perhaps, groups: {}}", "2:12: hosts.h.usb must be true or false, such as true"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_line_and_column_with_its_cure(tmp_path: Path, text: str, said: str) -> None:
    assert said == faults(tmp_path, text)[0]


def test_every_fault_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = faults(tmp_path, "health:\n  groups: {x: {smell: 1}}\nreplicas: 0\ncolour: red\n")
    assert [line.split(":")[0:2] for line in found] == [["2", "12"], ["2", "16"], ["3", "11"], ["4", "1"]]


@pytest.mark.parametrize("text", ["a: [", "a: 'b", "\tapp: x", "a: !!python/none x"])
def test_what_is_not_yaml_is_named_too(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text)[0][0].isdigit()


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"app: \xe9\n")
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path / "latin", "not UTF-8")):
        with pytest.raises(ConfigError, match=words):
            read_farm_file(path)


def test_merged_keys_may_be_set_anew(tmp_path: Path) -> None:
    found = read(tmp_path, "hosts:\n  a: &a {groups: [g], usb: false}\n  b: {<<: *a, usb: true}\n  c:\n")
    assert found["hosts"] == (
        HostSettings(name="a", groups=("g",), usb=False),
        HostSettings(name="b", groups=("g",), usb=True),
        HostSettings(name="c"),
    )


def uncommented(text: str) -> str:
    """Every setting of the example switched on."""
    lines = [line for line in text.splitlines() if line != "#" and not (line[:2] == "# " and line[2:3] != " ")]
    return "\n".join(line.removeprefix("#") for line in lines)


def test_the_example_sets_nothing_until_it_is_uncommented(tmp_path: Path) -> None:
    assert read(tmp_path, example()) == {}
    assert example().startswith("# yaml-language-server: $schema=farm.schema.json\n")


def test_the_example_holds_every_key_with_its_default(tmp_path: Path) -> None:
    whole = uncommented(example())
    jsonschema.validate(yaml.safe_load(whole), schema())
    values = read(tmp_path, whole)
    plain = Settings(state_dir=tmp_path, db_url="sqlite:///x")
    limits = values.pop("health")
    assert (limits.limits, limits.patience, limits.reboot) == (
        HealthSettings().limits, HealthSettings().patience, HealthSettings().reboot,
    )  # fmt: skip
    given = {name: values.pop(name) for name in ("hosts", "groups", "callbacks_allow", "tracing")}
    assert all(given.values())
    assert values == {name: getattr(plain, name) for name in values}
    assert set(yaml.safe_load(whole)) == set(FILE.keys)


def test_the_schema_that_is_checked_in_is_the_program_s() -> None:
    assert FARM_SCHEMA.read_text("utf-8") == farm_schema_text()
    jsonschema.Draft7Validator.check_schema(schema())


_ANY = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.floats(-1, 3), st.sampled_from(["", "a", "yes", "10.0.0.0/8"]),
    st.just([]), st.just(["a"]), st.just([1]), st.just({}), st.just({"a": 1}),
)  # fmt: skip


def documents(node: Node) -> st.SearchStrategy[Any]:
    """What may stand at a place, rightly or wrongly."""
    if isinstance(node, Leaf):
        return st.one_of(st.just(node.example), _ANY)
    if isinstance(node, Section):
        optional = {name: documents(one) for name, one in node.keys.items()}
        return st.one_of(st.fixed_dictionaries({}, optional={**optional, "strange": _ANY}), _ANY) if optional else _ANY
    return st.one_of(st.dictionaries(st.sampled_from(["sim", node.example]), documents(node.each), max_size=2), _ANY)


@given(documents(FILE))
@settings(max_examples=200, deadline=None)
def test_the_reader_and_the_schema_say_the_same(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    """But for what a schema cannot say: networks, and names that must have been given elsewhere."""
    beyond = ("there is no group", "; write it as 10.0.0.0/8")
    try:
        read(tmp_path_factory.getbasetemp(), yaml.safe_dump(document))
        said = []
    except ConfigError as error:
        said = [line for line in error.message.splitlines() if not any(words in line for words in beyond)]
    by_schema = [error.message for error in jsonschema.Draft7Validator(schema()).iter_errors(document)]
    assert bool(said) == bool(by_schema), (document, said, by_schema)


def test_every_leaf_has_a_meaning_and_an_example_that_fits() -> None:
    def leaves(node: Node) -> list[Leaf]:
        if isinstance(node, Leaf):
            return [node]
        below = node.keys.values() if isinstance(node, Section) else [node.each]
        return [leaf for one in below for leaf in leaves(one)]

    assert all(leaf.text for leaf in leaves(FILE))
    assert all(leaf.choices for leaf in leaves(FILE) if leaf.kind is Kind.CHOICE)
