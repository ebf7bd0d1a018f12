"""Reading dumps: proper ones, broken ones and hostile ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.devices.screen import MAX_BYTES, MAX_DEPTH, MAX_NODES, Bounds, Screen, Selector, parse
from phonefarm.errors import BadScreen

pytestmark = pytest.mark.timeout(60)

HEAD = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>"
LIST = f"""UI hierchary dumped to: /sdcard/x.xml
{HEAD}<hierarchy rotation="0"><node text="" resource-id="a:id/root" class="Frame" package="a"
 bounds="[0,0][1080,2400]" clickable="true" enabled="true" checked="false">
<node text="top" resource-id="a:id/title" class="Text" package="a" content-desc="said" bounds="[0,10][100,30]"/>
<node text="" resource-id="a:id/list" class="List" package="a" bounds="[0,100][1080,500]" scrollable="true">
<node text="" resource-id="a:id/row"><node text="one" resource-id="a:id/title" bounds="[0,100][50,200]"/></node>
<node text="" resource-id="a:id/row"><node text="two &amp; &lt;b&gt;" resource-id="a:id/title"
 bounds="[-5,0][5,1]"/></node>
</node></node></hierarchy>
"""


@pytest.fixture
def screen() -> Screen:
    return parse(LIST.encode())


def texts(screen: Screen, selector: Selector) -> list[str]:
    return [node.text for node in screen.find_all(selector)]


def test_tree(screen: Screen) -> None:
    root = screen.root.children[0]
    assert (root.resource_id, root.cls, root.package) == ("a:id/root", "Frame", "a")
    assert root.flags == {"clickable", "enabled"}
    assert [child.resource_id for child in root.children] == ["a:id/title", "a:id/list"]
    assert screen.size == (1080, 2400)
    assert screen.packages == ("a",)
    assert screen.text == "top\nsaid\none\ntwo & <b>"


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        (Selector(resource_id="a:id/title"), ["top", "one", "two & <b>"]),
        (Selector(resource_id="a:id/title", index=1), ["one"]),
        (Selector(resource_id="a:id/title", index=9), []),
        (Selector(resource_id="a:id/title", within=Selector(resource_id="a:id/row")), ["one", "two & <b>"]),
        (Selector(resource_id="a:id/title", within=Selector(resource_id="a:id/row", index=1)), ["two & <b>"]),
        (Selector(resource_id="a:id/list", within=Selector(resource_id="a:id/list")), []),
        (Selector(text="one"), ["one"]),
        (Selector(text_contains="two"), ["two & <b>"]),
        (Selector(desc="said"), ["top"]),
        (Selector(cls="Text", text="nope"), []),
        (Selector(cls="List", resource_id="a:id/list"), [""]),
    ],
)
def test_selectors(screen: Screen, selector: Selector, found: list[str]) -> None:
    assert texts(screen, selector) == found
    first = screen.find(selector)
    assert (first.text if first else None) == (found[0] if found else None)


def test_nested_containers_give_each_node_once() -> None:
    xml = "<hierarchy><node class='c'><node class='c'><node text='x'/></node></node></hierarchy>"
    assert len(parse(xml).find_all(Selector(text="x", within=Selector(cls="c")))) == 1


def test_the_longest_bounds_and_what_only_begins_like_them() -> None:
    longest = "[-123456,-123456][-123456,-123456]"
    found = [
        parse(f"<hierarchy><node bounds='{text}'/></hierarchy>").root.children[0].bounds
        for text in (longest, longest + "1", longest + " ", longest + "[1,2]" * 1_000)
    ]
    assert found == [Bounds(left=-123456, top=-123456, right=-123456, bottom=-123456), *[Bounds()] * 3]


def test_bounds() -> None:
    assert Bounds(left=0, top=10, right=100, bottom=30).centre == (50, 20)
    assert Bounds().empty
    for text in ("", "[1,2]", "[a,b][c,d]", "[9999999,0][1,1]", "[0,0][1,1]x"):
        assert parse(f"<hierarchy><node bounds='{text}'/></hierarchy>").root.children[0].bounds == Bounds()


@pytest.mark.fault(26)
def test_control_characters_are_stripped() -> None:
    xml = "<hierarchy><node text='a\x00b\x1b[31mc\x07\x9bd\ufffe'/></hierarchy>"
    assert parse(xml).root.children[0].text == "ab[31mcd"


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol"}">' for n in range(10))
HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "no xml": b"UI hierchary dumped to: /sdcard/x.xml\n",
    "idle": b"ERROR: could not get idle state.\n",
    "null root": b"ERROR: null root node returned by UiTestAutomationBridge.\n",
    "billion laughs": f"<?xml version='1.0'?><!DOCTYPE h [{BOMB}]><hierarchy><node text='&e9;'/></hierarchy>".encode(),
    "external entity": b"<?xml version='1.0'?><!DOCTYPE h [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
    b"<hierarchy><node text='&x;'/></hierarchy>",
    "bare doctype": b"<?xml version='1.0'?><!DOCTYPE hierarchy><hierarchy><node/></hierarchy>",
    "10 MB": b"<?xml version='1.0'?><hierarchy>" + b"<node/>" * 1_500_000 + b"</hierarchy>",
    "100k deep": b"<?xml version='1.0'?><hierarchy>" + b"<node>" * 100_000 + b"</node>" * 100_000 + b"</hierarchy>",
    "too deep": b"<hierarchy>" + b"<node>" * MAX_DEPTH + b"</node>" * MAX_DEPTH + b"</hierarchy>",
    "too many": b"<hierarchy>" + b"<node/>" * (MAX_NODES + 1) + b"</hierarchy>",
    "bad UTF-8": b"<?xml version='1.0'?><hierarchy><node text='\xff\xfe'/></hierarchy>",
    "cut": LIST.encode()[:400],
    "two roots": b"<hierarchy><node/></hierarchy><hierarchy><node/></hierarchy>",
    "no window": b"<hierarchy rotation='0'></hierarchy>",
    "other root": b"<?xml version='1.0'?><html><node/></html>",
    "strange element": b"<hierarchy><script/></hierarchy>",
    "control by reference": b"<hierarchy><node text='&#0;&#27;'/></hierarchy>",
    "long name": b"<hierarchy><" + b"x" * 1_000_000 + b"/></hierarchy>",
    "many attributes": b"<hierarchy><node " + b" ".join(b"a%d=''" % n for n in range(50_000)) + b"></hierarchy>",
    "UTF-16": "<hierarchy><node/></hierarchy>".encode("utf-16"),
}


@pytest.mark.fault(26)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_dumps_are_bad_screens(name: str) -> None:
    with pytest.raises(BadScreen) as caught:
        parse(HOSTILE[name])
    assert len(caught.value.message) < 600


@pytest.mark.fault(25)
def test_what_uiautomator_says_is_told() -> None:
    with pytest.raises(BadScreen, match="could not get idle state"):
        parse(HOSTILE["idle"])
    with pytest.raises(BadScreen, match="null root node"):
        parse(HOSTILE["null root"])


def test_just_inside_the_caps() -> None:
    deep = "<hierarchy>" + "<node>" * (MAX_DEPTH - 1) + "</node>" * (MAX_DEPTH - 1) + "</hierarchy>"
    assert len(list(parse(deep).root.walk())) == MAX_DEPTH
    wide = "<hierarchy>" + "<node/>" * (MAX_NODES - 1) + "</hierarchy>"
    assert len(wide) < MAX_BYTES
    assert len(parse(wide).root.children) == MAX_NODES - 1


@pytest.mark.fault(26)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_screen_or_a_bad_screen(noise: bytes) -> None:
    for dump in (
        noise,
        b"<hierarchy>" + noise + b"</hierarchy>",
        b"<hierarchy><node text='" + noise + b"'/></hierarchy>",
    ):
        try:
            parse(dump)
        except BadScreen:
            continue
