"""What tests read: the words of a page, and the statements that the database was asked."""

import re
from html import unescape


def text_of(html: str) -> str:
    """What a page says, without its markup and in one line."""
    main = html.split("<main", 1)[-1].split("</main>", 1)[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())
