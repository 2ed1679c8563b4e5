"""A notice as mail: plain text, and the same as HTML in which all that came from outside is escaped."""

from collections.abc import Sequence
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr
from typing import Final

from jinja2 import Environment

from app.channels import facts
from app.channels.base import Notice
from app.mail import sender_of

SUBJECT_LIMIT = 200
TEXT_LIMIT = 20_000
VALUE_LIMIT = 1000
# What is set raw is written as it is.
_POLICY: Final = SMTP.clone(refold_source="none")
_COLOURS = {"critical": "#c62828", "high": "#d65a00", "warning": "#b08900", "info": "#1565c0"}
_RESOLVED_COLOUR = "#2e7d32"
_HTML: Final = Environment(autoescape=True).from_string("""\
<!doctype html>
<html><body style="font-family: sans-serif; color: #222">
<h2 style="border-left: 6px solid {{ colour }}; padding-left: 10px">{{ headline }}</h2>
<p style="white-space: pre-wrap">{{ message }}</p>
<table cellpadding="4">
{% for label, value in pairs %}
<tr><td style="color: #666">{{ label }}</td><td style="white-space: pre-wrap">{{ value }}</td></tr>
{% endfor %}
</table>
<p style="color: #666">{{ footer }}</p>
{% if url %}<p><a href="{{ url }}">Open in Sentinel</a></p>{% endif %}
</body></html>
""")


def write(notice: Notice, to: Sequence[str], sender: str) -> EmailMessage:
    """The message; the same notice makes the same one, so that who gets it twice can tell.

    Set otherwise than raw, a text would be searched for encoded words (`=?utf-8?q?…?=`), which may hold whole
    headers, and a long id be made one.
    """
    name, address = sender_of(sender)
    domain = address.rpartition("@")[2]
    letter = EmailMessage(policy=_POLICY)
    letter.set_raw("From", _mailbox(name, address))
    letter["To"] = [Address(addr_spec=one) for one in to]
    letter.set_raw("Subject", _words(subject(notice), "Subject"))
    letter["Date"] = notice.timestamp
    letter["Message-ID"] = f"<{notice.id}@{domain}>"
    if notice.alert.get("id"):
        # No message has this id: readers put what refers to the same one together all the same.
        alert = f"<alert-{notice.alert['id']}@{domain}>"
        letter.set_raw("In-Reply-To", alert)
        letter.set_raw("References", alert)
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(text(notice), cte="quoted-printable")
    letter.add_alternative(_html(notice), subtype="html", cte="quoted-printable")
    # What mail programs tell parts apart by would be drawn anew for each attempt.
    letter.set_boundary(f"=_{notice.id}")
    return letter


def _mailbox(name: str, address: str) -> str:
    return formataddr((name, address)) if _is_plain(name) else f"{_words(name, 'From')} <{address}>"


def _words(text: str, header: str) -> str:
    """A line of text in a header, where it is read as it is and as nothing else."""
    charset = "us-ascii" if _is_plain(text) else "utf-8"
    return Header(text, charset, header_name=header).encode(linesep="\r\n")


def _is_plain(text: str) -> bool:
    return text.isascii() and "=?" not in text


def subject(notice: Notice) -> str:
    """One line, whatever the rule is called; the same for all messages of an alert but of its end."""
    which = facts.key(notice)
    said = f"{facts.headline(notice)}: {which}" if which else facts.headline(notice)
    return facts.line(f"[{facts.severity(notice)}] {said}", SUBJECT_LIMIT)


def text(notice: Notice) -> str:
    """What it says, without markup."""
    pairs = "\n".join(f"{label}: {value}" for label, value in _pairs(notice))
    parts = [_clean(facts.headline(notice), VALUE_LIMIT), _clean(notice.message, TEXT_LIMIT), pairs]
    parts += [_clean(facts.footer(notice), VALUE_LIMIT), notice.url or ""]
    return "\n\n".join(part for part in parts if part) + "\n"


def _html(notice: Notice) -> str:
    resolved = notice.kind == facts.RESOLVED
    return _HTML.render(
        colour=_RESOLVED_COLOUR
        if resolved
        else _COLOURS.get(facts.severity(notice), _COLOURS["warning"]),
        headline=_clean(facts.headline(notice), VALUE_LIMIT),
        message=_clean(notice.message, TEXT_LIMIT),
        pairs=_pairs(notice),
        footer=_clean(facts.footer(notice), VALUE_LIMIT),
        url=notice.url,
    )


def _pairs(notice: Notice) -> list[tuple[str, str]]:
    found = facts.pairs(notice)
    return [(facts.line(label, 100), _clean(value, VALUE_LIMIT)) for label, value in found]


def _clean(text: str, limit: int) -> str:
    return facts.cut(facts.clean(text), limit)
