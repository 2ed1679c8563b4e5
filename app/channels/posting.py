"""What channels have in common that are reached by name alone, and those of them that post JSON."""

from abc import abstractmethod
from typing import Final

from app.channels.answers import judge
from app.channels.base import (
    AddressError,
    Channel,
    ChannelDefaults,
    Config,
    Notice,
    Request,
    Verdict,
)
from app.channels.egress import Egress
from app.channels.transport import Reply, Transport

HEADERS: Final = {"Content-Type": "application/json"}


class NamedChannel(Channel):
    """A kind without addresses of its own: each place has to be made a channel first."""

    # Of the config, what there must be.
    needs: str

    def resolve(self, address: str, defaults: ChannelDefaults) -> Config:
        raise AddressError(
            f"there is no {self.label} channel {address!r}",
            f"create a channel of that name, with its {self.needs}",
        )


class PostingChannel(NamedChannel):
    """A kind whose messages are one POST of JSON each."""

    @abstractmethod
    def url(self, config: Config) -> str:
        """Where it is posted to."""

    @abstractmethod
    def body(self, notice: Notice, config: Config) -> bytes:
        """What is posted, as JSON in UTF-8."""

    def judge(self, reply: Reply) -> Verdict:
        """What the answer means; by its status, where a kind says no more."""
        return judge(reply)

    def check_config(self, config: Config, egress: Egress) -> None:
        egress.check_url(self.url(config))

    def send(self, notice: Notice, config: Config, transport: Transport) -> Verdict:
        return self.judge(transport.post(self.url(config), self.body(notice, config), HEADERS))

    def request(self, notice: Notice, config: Config) -> Request:
        return Request("POST", self.url(config), HEADERS, self.body(notice, config).decode())
