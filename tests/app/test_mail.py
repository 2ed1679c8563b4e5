"""Where mail is handed in, as URLs say it."""

import pytest

from app.mail import Server, is_address, sender_of, server_of


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", Server("smtp", "mail.example", 587, True)),
        ("smtps://mail.example/", Server("smtps", "mail.example", 465, True)),
        ("smtp://mail.example:25?starttls=off", Server("smtp", "mail.example", 25, False)),
        ("smtp://a%40b:p%3A%2F@[::1]:2525", Server("smtp", "::1", 2525, True, "a@b", "p:/")),
    ],
)
def test_a_url_says_the_host_the_port_the_login_and_whether_tls_is_a_must(
    url: str, server: Server
) -> None:
    assert server_of(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example:25",
        "https://mail.example",
        "smtp://",
        "smtp://mail.example:0x",
        "smtp://mail.example/path",
        "smtp://mail.example#x",
        "smtp://mail.example?starttls=maybe",
        "smtp://mail.example?starttls=off&x=1",
        "smtp://secret@mail.example",
        "smtp://u:secret@mail.example?starttls=off",
        "smtp://u:s%C3%A9cret@mail.example",
        "smtp://mail.example\r\nRSET",
    ],
)
def test_any_other_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as refusal:
        server_of(url)
    assert "secret" not in str(refusal.value)
    assert "mail.example" not in str(refusal.value)


def test_no_password_is_in_the_repr_of_a_server() -> None:
    assert "hidden" not in repr(server_of("smtp://u:hidden@mail.example"))


def test_a_sender_is_an_address_with_or_without_a_name() -> None:
    assert sender_of("a@b.example") == ("", "a@b.example")
    assert sender_of("Sentinel München <a@b.example>") == ("Sentinel München", "a@b.example")


@pytest.mark.parametrize("text", ["", "a", "x <a>", "x\n <a@b.example>", "<a@b.example> x", "a@b,"])
def test_any_other_sender_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        sender_of(text)


def test_what_mail_would_read_as_other_words_is_no_address() -> None:
    assert is_address("a?=b@example.com")
    assert not is_address("=?utf-8?q?x?=@example.com")


def test_an_address_is_no_longer_than_mail_allows() -> None:
    assert is_address("a" * 242 + "@example.com")
    assert not is_address("a" * 243 + "@example.com")
