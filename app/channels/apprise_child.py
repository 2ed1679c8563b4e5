"""A process of its own that hands one message to the `apprise` library; nothing of Sentinel's is in it.

It reads one JSON object, and writes how each URL did: `true`, `false`, or null for one that it does not know.
"""

import json
import sys


def main() -> None:
    """Send the message to each URL."""
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

    asked = json.load(sys.stdin)
    asset = AppriseAsset(app_id="Sentinel", app_desc="Sentinel", secure_logging=True)
    done: list[bool | None] = []
    for url in asked["urls"]:
        target = Apprise(asset=asset)
        if not target.add(url):
            done.append(None)
            continue
        sent = target.notify(
            title=asked["title"],
            body=asked["body"],
            notify_type=NotifyType(asked["type"]),
            body_format=NotifyFormat.TEXT,
        )
        done.append(bool(sent))
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
