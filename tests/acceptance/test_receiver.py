"""The receiver that acceptance tests count with: only whole requests were heard."""

import socket
from collections.abc import Iterator

import pytest
import requests

from tests.acceptance.receiver import Receiver

HEAD = b"POST /cut HTTP/1.1\r\nHost: receiver\r\nContent-Length: 2\r\n\r\n"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("body", [b"", b"{"])
def test_a_request_whose_sender_was_killed_before_its_end_was_not_heard(
    receiver: Receiver, body: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as sender:
        sender.sendall(HEAD + body)
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(1) == b""
    requests.post(f"{receiver.url}/whole", data=b"{}", timeout=5)
    assert [one.path for one in receiver.heard] == ["/whole"]
