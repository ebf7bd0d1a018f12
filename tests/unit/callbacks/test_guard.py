"""The address guard, over every spelling of a place callbacks must not reach (faults 37)."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.callbacks.guard import Address, Endpoint, is_public, literal_fault, parse_endpoint, resolve_and_check
from phonefarm.errors import Fault

pytestmark = pytest.mark.timeout(60)

LOOPBACK = ("127.0.0.0/8", "::1/128")

FORBIDDEN_HOSTS = """
localhost LOCALHOST LocalHost localhost. a.localhost a.b.localhost. localhost.localdomain ip6-localhost
127.0.0.1 127.0.0.1. 127.255.255.254 127.1 127.0.1 2130706433 017700000001 0x7f000001 0X7F.1 0x7f.1 0177.0.0.1
0177.1 0x7f.0x0.0x0.0x1 00000177.1 0127.0.0.1 0 0.0.0.0 0x 0x0 00
10.0.0.1 0xa.1 012.1 010.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 192.168.257 3232235777
169.254.169.254 169.254.43518 2852039166 0xa9fea9fe 0251.0376.0251.0376 168.63.129.16 100.100.100.200
100.64.0.1 192.0.0.8 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1
224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 4294967295
[::] [::1] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:7F00:1] [::ffff:10.0.0.1] [::ffff:a9fe:a9fe]
[::7f00:1] [::127.0.0.1] [::8.8.8.8] [::ffff:0:127.0.0.1] [::ffff:0:8.8.8.8]
[64:ff9b::7f00:1] [64:ff9b::127.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b::10.1.2.3] [64:ff9b:1::1] [64:ff9b:1::8.8.8.8]
[2002:7f00:1::] [2002:a9fe:a9fe::1] [2002:c0a8:101::1] [2002:808:808::1]
[2001::1] [2001:0:4136:e378:8000:63bf:80ff:fffe] [2001:2::1] [2001:10::1] [2001:20::1] [2001:db8::1] [3fff::1]
[fe80::1] [fe80::1%eth0] [fe80::1%25eth0] [::1%251] [2606:4700::1111%251] [::ffff:8.8.8.8%251] [64:ff9b::808:808%251]
[fec0::1] [feff::1] [ff01::1] [ff05::1:3] [fc00::1] [fd00:ec2::254] [fd20:ce::254] [ff02::1] [ff0e::1]
[100::1] [5f00::1] [4000::1] [::2]
""".split()  # noqa: SIM905

ALLOWED_URLS = """
http://example.com https://example.com/ HTTPS://EXAMPLE.COM/path?q=1 https://example.com:8443/hook https://a-b.c_d.example
https://xn--bcher-kva.example/ https://example.com./x http://8.8.8.8/ http://134744072/ http://0x8.0x8.0x8.0x8/
https://[2606:4700:4700::1111]/ https://[::ffff:8.8.8.8]/ https://[64:ff9b::808:808]/ http://example.com:65535/
https://1.example/ https://localhost.example/ https://hooks/ https://example.com/%20?to=http://127.0.0.1/@x
""".split()  # noqa: SIM905

INVALID_URLS = [
    "",
    "example.com",
    "//example.com",
    "ftp://example.com",
    "file:///etc/passwd",
    "gopher://example.com",
    "javascript:alert(1)",
    "http:example.com",
    "http://",
    "http:///path",
    "http://:80/",
    "http://./",
    "http://user@example.com/",
    "http://user:pw@example.com/",
    "http://@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http://example.com#@127.0.0.1 /",
    "http://example.com:0/",
    "http://example.com:/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://example.com:+80/",
    "http://example.com:8_0/",
    "http://example.com:80:80/",
    "http://exam ple.com/",
    "http://example.com/a b",
    "http://example.com/\n",
    "\thttp://example.com/",
    "http://exa\x00mple.com/",
    "http://%31%32%37.0.0.1/",
    "http://example.com%00.evil/",
    "http://bücher.example/",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://127.0.0.①/",
    "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/",
    "http://loc\u00adalhost/",
    "http://xn--/",
    "http://localhost../",
    "http://127.0.0.1../",
    "http://%6cocalhost/",
    "http://[%3a%3a1]/",
    "http://[::1%25eth0%25]/",
    "http://example.com%2f@127.0.0.1/",
    "http://example.com;127.0.0.1/",
    "http://example.com,127.0.0.1/",
    "http://[::1",
    "http://::1/",
    "http://[::1]evil.example/",
    "http://evil.example[::1]/",
    "http://[127.0.0.1]/",
    "http://[v1.fe80]/",
    "http://[1::2::3]/",
    "http://1.2.3.4.5/",
    "http://256.1.1.1/",
    "http://1.2.3.256/",
    "http://4294967296/",
    "http://08.1.1.09.1/",
    "http://example.0x1/",
    "http://example.1/",
    "http://a..b/",
    "http://-a.example/",
    "http://" + "a" * 64 + ".example/",
    "http://" + "a." * 130 + "example/",
    "http://example.com/" + "a" * 5_000,
]


@pytest.mark.fault(37)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
def test_forbidden_addresses(host: str, scheme: str) -> None:
    for port in ("", ":80", ":9099"):
        fault = literal_fault(f"{scheme}://{host}{port}/hook", ())
        assert fault is not None
        assert (fault.code, fault.loc) == ("forbidden_callback_address", ("callback", "url"))


@pytest.mark.parametrize("url", ALLOWED_URLS)
def test_public_urls(url: str) -> None:
    assert literal_fault(url, ()) is None


@pytest.mark.fault(37)
@pytest.mark.parametrize("url", INVALID_URLS)
def test_invalid_urls(url: str) -> None:
    fault = literal_fault(url, LOOPBACK)
    assert fault is not None
    assert fault.code == "invalid_callback_url"


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "localhost", "x.localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_listed_addresses_are_free(host: str) -> None:
    assert literal_fault(f"http://{host}:9099/phonefarm", LOOPBACK) is None


@pytest.mark.fault(37)
@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::7f00:1]"])
def test_what_is_not_listed_stays_forbidden(host: str) -> None:
    assert literal_fault(f"http://{host}/", LOOPBACK) is not None


def test_a_fault_does_not_repeat_the_url() -> None:
    fault = literal_fault("http://127.0.0.1/hook?token=s3cret", ())
    assert fault is not None
    assert "s3cret" not in fault.msg


def test_endpoints_have_a_port() -> None:
    assert parse_endpoint("https://Example.COM./x") == Endpoint(scheme="https", host="example.com", port=443)
    assert parse_endpoint("http://[::1]:81") == Endpoint(scheme="http", host="::1", port=81)


@pytest.mark.fault(37)
@given(value=st.integers(0, 2**32 - 1))
def test_all_spellings_of_an_ipv4_address_agree_with_the_c_library(value: int) -> None:
    packed = value.to_bytes(4, "big")
    a, b, c, d = packed
    spellings = (
        f"{a}.{b}.{c}.{d}",
        f"{value}",
        f"{value:#x}",
        f"{a:#x}.{b:#x}.{c << 8 | d}",
        f"{a}.{value & 0xFFFFFF}",
    )
    faults = {literal_fault(f"http://{host}/", ()) is None for host in spellings}
    assert all(socket.inet_aton(host) == packed for host in spellings)
    assert faults == {is_public(ip_address(value))}


@pytest.mark.fault(37)
@given(value=st.integers(0, 2**32 - 1))
def test_octal_is_refused_if_either_reading_is_forbidden(value: int) -> None:
    a, b, c, d = value.to_bytes(4, "big")
    if not is_public(ip_address(value)):
        assert literal_fault(f"http://0{a:o}.0{b:o}.0{c:o}.0{d:o}/", ()) is not None
        assert literal_fault(f"http://0{a}.0{b}.0{c}.0{d}/", ()) is not None


@pytest.mark.fault(37)
@given(st.integers(0, 2**128 - 1).map(ip_address))
def test_public_ipv6_is_global_unicast_or_carries_public_ipv4(address: Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    literal_fault(text, LOOPBACK)
    literal_fault(f"http://{text}/", ())


def answering(*answers: str) -> Resolver:
    return Resolver(answers)


class Resolver:
    def __init__(self, answers: Sequence[str]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        if not self.answers:
            raise socket.gaierror("no such name")
        return self.answers


async def code_of(host: str, resolver: Resolver, allow: Sequence[str] = ()) -> str:
    found = await resolve_and_check(host, 443, allow, resolver=resolver)
    return found.code if isinstance(found, Fault) else str(found)


@pytest.mark.fault(37)
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answers", "result"),
    [
        (("8.8.8.8", "1.1.1.1"), "8.8.8.8"),
        (("2606:4700::1111", "8.8.8.8"), "2606:4700::1111"),
        (("::ffff:8.8.8.8",), "8.8.8.8"),
        (("8.8.8.8", "127.0.0.1"), "forbidden_callback_address"),
        (("8.8.8.8", "::1"), "forbidden_callback_address"),
        (("169.254.169.254",), "forbidden_callback_address"),
        (("64:ff9b::a00:1",), "forbidden_callback_address"),
        (("fe80::1%lo",), "forbidden_callback_address"),
        (("not an address",), "callback_name_not_resolved"),
        ((), "callback_name_not_resolved"),
    ],
)
async def test_one_forbidden_answer_refuses_all(answers: tuple[str, ...], result: str) -> None:
    assert await code_of("hook.example", answering(*answers)) == result


@pytest.mark.fault(37)
@pytest.mark.asyncio
async def test_literals_and_local_names_are_not_looked_up() -> None:
    resolver = answering("8.8.8.8")
    assert await code_of("0x7f.1", resolver) == "forbidden_callback_address"
    assert await code_of("134744072", resolver) == "8.8.8.8"
    assert await code_of("localhost", resolver) == "forbidden_callback_address"
    assert await code_of("localhost", resolver, ("127.0.0.0/8",)) == "127.0.0.1"
    assert await code_of("localhost", resolver, ("::1",)) == "::1"
    assert await code_of("127.1", resolver, ("127.0.0.0/8",)) == "127.0.0.1"
    assert resolver.asked == []


@pytest.mark.asyncio
async def test_listed_private_networks_are_free() -> None:
    assert await code_of("rack.example", answering("10.1.2.3"), ("10.1.0.0/16",)) == "10.1.2.3"
    assert await code_of("rack.example", answering("10.2.2.3"), ("10.1.0.0/16",)) == "forbidden_callback_address"
