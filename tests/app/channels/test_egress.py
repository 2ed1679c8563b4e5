"""What the guard refuses, and what it lets pass."""

import socket
import threading
import time

import pytest

from app.channels.egress import Egress, Unresolved, UrlNotAllowed, system_resolver
from tests.app.helpers import no_threads

PUBLIC = "93.184.216.34"
REFUSED_HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0X7F.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "0177.1",
    "127.0.0.01",
    "127.0.0.1.",
    "127.0.0.256",
    "1.2.3",
    "00000177.0.0.1",
    "0x",
    "1.0x",
    "4294967297",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127．0．0．1",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "foo.localhost",
    "１２７.0.0.1",
    "ⅼocalhost",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:1::1]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[::1%25lo]",
    "[0:0:0:0:0:0:0:1]",
    "[::8.8.8.8]",
    "[100::1]",
    "[2002:808:808::]",
    "[v1.x]",
    "[127.0.0.1]",
    "[1",
    "::1",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "x@127.0.0.1",
    "a.example@127.0.0.1",
    "a.example:80@127.0.0.1",
    "a.example\\@127.0.0.1",
    "127.0.0.1\\@a.example",
    "127.0.0.1#@a.example",
    "a.example%00.b",
    "a%2eexample",
    ".a.example",
    "a..example",
    "-a.example",
    "a-.example",
    "a.example:0",
    "a.example:65536",
    "a.example:99999999",
    "a.example:+80",
    "a.example:８０",
    "a.example:-1",
]
REFUSED_URLS = [
    "",
    "http://",
    "http:///x",
    "https:a.example",
    "//a.example/",
    "a.example",
    "file:///etc/passwd",
    "ftp://a.example/",
    "gopher://a.example/",
    "javascript:alert(1)",
    "unix:///run/x.sock",
    "http://a.example/\r\nX: y",
    "http://a.example\t/",
    " http://a.example/",
    "http://a.example/\n",
    "http://a.example/a b",
    "http://a.example/é",
    "http://a.example/#x",
    "http:\\\\a.example/",
    "http://a.example" + "/a" * 1100,
    "http://" + "a" * 64 + ".example/",
]


def lan(host: str, port: int) -> list[str]:
    """A resolver that knows every name as the C library would, or as a public host."""
    try:
        return [socket.inet_ntoa(socket.inet_aton(host))]
    except OSError:
        return ["127.0.0.1"] if "localhost" in host.lower() else [PUBLIC]


@pytest.mark.parametrize("host", REFUSED_HOSTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_is_not_plainly_public_is_refused(scheme: str, host: str) -> None:
    with pytest.raises(UrlNotAllowed) as refusal:
        Egress(resolver=lan).check_url(f"{scheme}://{host}/hook")
    assert refusal.value.code == "url_not_allowed"


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_what_is_not_plainly_an_http_url_is_refused(url: str) -> None:
    with pytest.raises(UrlNotAllowed):
        Egress(resolver=lan).check_url(url)


@pytest.mark.parametrize(
    ("url", "authority", "path", "address"),
    [
        ("https://a.example", "a.example", "/", PUBLIC),
        ("HTTPS://A.Example./x?y=[1]&z=@", "a.example", "/x?y=[1]&z=@", PUBLIC),
        ("http://a.example?x", "a.example", "/?x", PUBLIC),
        ("http://a.example:8080/", "a.example:8080", "/", PUBLIC),
        ("https://a.example:443/", "a.example", "/", PUBLIC),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", "/", PUBLIC),
        ("https://8.8.8.8/", "8.8.8.8", "/", "8.8.8.8"),
        ("https://[2606:4700::1111]/", "[2606:4700::1111]", "/", "2606:4700::1111"),
        ("https://[64:ff9b::8.8.8.8]:444/", "[64:ff9b::808:808]:444", "/", "64:ff9b::808:808"),
    ],
)
def test_a_public_url_keeps_its_name_and_its_address(
    url: str, authority: str, path: str, address: str
) -> None:
    destination = Egress(resolver=lan).destination(url)
    assert (destination.authority, destination.path) == (authority, path)
    assert destination.addresses == (address,)


@pytest.mark.parametrize(
    "answers",
    [[PUBLIC, "10.0.0.1"], ["127.0.0.1", PUBLIC], ["fe80::1%2"], ["::ffff:10.0.0.1"], ["nonsense"]],
)
def test_one_private_answer_refuses_the_whole_name(answers: list[str]) -> None:
    with pytest.raises(UrlNotAllowed):
        Egress(resolver=lambda host, port: answers).destination("https://a.example/")


@pytest.mark.parametrize(
    ("allow", "url"),
    [
        ("10.0.0.0/8", "http://10.1.2.3:9/"),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]/"),
        ("127.0.0.1", "http://127.0.0.1:1/"),
        ("127.0.0.1:80", "http://127.0.0.1/"),
        ("localhost", "http://localhost:9000/"),
        ("LocalHost.:9000", "http://localhost:9000/"),
        ("localhost", "http://localhost./"),
        ("foo.localhost", "http://Foo.localhost.:9000/"),
        ("127.0.0.0/8", "http://localhost:9000/"),
        ("127.0.0.1", "http://foo.localhost./"),
        ("[::1]:9000", "http://[::1]:9000/"),
        ("::1", "http://[::1]/"),
        ("fc00::/7", "http://[fd00::1]/"),
    ],
)
def test_what_is_allowed_may_be_private(allow: str, url: str) -> None:
    Egress([allow], lan).check_url(url)


@pytest.mark.parametrize(
    ("allow", "url"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9001/"),
        ("127.0.0.1:9000", "http://127.0.0.2:9000/"),
        ("10.0.0.0/24", "http://10.0.1.1/"),
        ("localhost:9000", "http://localhost/"),
        ("127.0.0.0/8", "http://127.1/"),
        ("a.example", "http://x.a.example.localhost/"),
    ],
)
def test_an_allowed_place_allows_nothing_beside_it(allow: str, url: str) -> None:
    with pytest.raises(UrlNotAllowed):
        Egress([allow], lan).check_url(url)


@pytest.mark.parametrize(
    "entry",
    [
        "a.example:",
        "a.example:http",
        ":80",
        "10.0.0.0/99",
        "10.0.0.0/99:x",
        "http://a.example",
        "a b",
    ],
)
def test_an_entry_of_the_allow_list_that_makes_no_sense_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        Egress([entry])


def test_a_name_without_an_address_is_accepted_now_and_looked_up_again_later() -> None:
    def nothing(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    egress = Egress(resolver=nothing)
    egress.check_url("https://soon.example/")
    with pytest.raises(Unresolved):
        egress.destination("https://soon.example/")


@pytest.mark.parametrize("host", ["localhost", "LocalHost.", "foo.localhost", "a.foo.localhost."])
@pytest.mark.parametrize("answers", [[], [PUBLIC]])
def test_this_machine_is_refused_by_name_whatever_a_name_server_says(
    host: str, answers: list[str]
) -> None:
    for allow in ([], ["localhost:9"], ["foo.localhost:9"], ["10.0.0.0/8"]):
        with pytest.raises(UrlNotAllowed):
            Egress(allow, lambda host, port: answers).check_url(f"http://{host}/")


@pytest.mark.parametrize("name", ["localhost.example", "notlocalhost", "localhost.localdomain"])
def test_a_name_that_only_reads_like_this_machine_is_one_like_any_other(name: str) -> None:
    Egress(resolver=lambda host, port: [PUBLIC]).destination(f"http://{name}/")


def test_a_name_server_that_hangs_costs_no_more_than_the_patience() -> None:
    release = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        release.wait(10)
        return [PUBLIC]

    with pytest.raises(Unresolved):
        Egress(resolver=hang).destination("https://a.example/", patience=0.05)
    release.set()


def test_where_no_thread_is_to_be_had_names_wait_for_delivery_and_that_for_another() -> None:
    egress = Egress(resolver=lambda host, port: [PUBLIC])
    with no_threads():
        egress.check_url("https://a.example/")
        with pytest.raises(Unresolved):
            egress.destination("https://a.example/")
    assert egress.destination("https://a.example/").addresses == (PUBLIC,)


def test_when_the_time_for_look_ups_is_up_names_wait_for_delivery_and_addresses_do_not() -> None:
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC]

    late = Egress(resolver=resolver).hurried(until=time.monotonic())
    late.check_url("https://a.example/")
    assert asked == []
    with pytest.raises(UrlNotAllowed):
        late.check_url("http://127.0.0.1/")


def test_the_system_resolver_answers_with_addresses() -> None:
    assert "127.0.0.1" in system_resolver("127.0.0.1", 80)
