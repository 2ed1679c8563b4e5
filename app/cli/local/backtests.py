"""What a backtest has come to, in words."""

from collections.abc import Iterator
from typing import Any, Final

from app.cli.local.told import counted, moment, wrapped
from app.services.backtesting.words import WHY_ELSE

MOST_SHOWN: Final = 10
BARS: Final = " ▁▂▃▄▅▆▇█"


def report(found: dict[str, Any]) -> str:
    """All of it; of one rule a screen at most, of many a line more for each that says something."""
    return "\n".join(wrapped(line, "", "      ") for line in _lines(found))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    names = " against ".join(_named(side) for side in found["sides"])
    yield f"{names or found['name']}: {found['state']}"
    yield f"{moment(found['since'])} to {moment(found['until'])} UTC"
    if found["reason"]:
        yield found["reason"]
    result = found["result"]
    if result is None:
        return
    yield counted(result["events"], "event")
    yield from _side(result)
    if result["rules"]:
        yield from _rules(result["rules"])
    if result["other"]:
        yield f"{_named(found['sides'][1])}:"
        yield from _side(result["other"])
    if result["difference"]:
        yield from _difference(result["difference"])
    yield from _notifications(result["listed"]["notifications"])


def _side(result: dict[str, Any]) -> Iterator[str]:
    alerts = result["alerts"]
    matches = counted(result["matches"], "match", "matches")
    yield f"  {matches} in {counted(alerts['opened'], 'alert')}, {alerts['resolved']:,} resolved"
    held = ", ".join(f"{count:,} {kind}" for kind, count in sorted(result["held"].items()))
    yield f"  {counted(result['notifications'], 'notification')}" + (f"; {held}" if held else "")
    for target, count in result["targets"].items():
        yield f"    {count:8,}  {target}"
    for reason, count in result["errors"].items():
        yield f"  {counted(count, 'time')} not evaluated: {reason}"
    if len(result["chart"]["columns"]) > 1:
        yield f"  {_chart(result['chart']['columns'])}"


def _rules(rules: list[dict[str, Any]]) -> Iterator[str]:
    """Each of many: the loudest first, and how many say nothing."""
    loud = [one for one in rules if one["matches"] or one["errors"]]
    loud.sort(key=lambda one: (-one["notifications"], -one["matches"]))
    yield f"{'notifications':>15}  {'matches':>9}  {'held':>9}  rule"
    for one in loud:
        held = sum(one["held"].values())
        errors = f"  ({sum(one['errors'].values()):,} times not evaluated)" if one["errors"] else ""
        yield f"{one['notifications']:15,}  {one['matches']:9,}  {held:9,}  {one['name']}{errors}"
    if len(loud) < len(rules):
        silent = len(rules) - len(loud)
        yield f"  {silent:,} rule{'s' if silent > 1 else ''} matched nothing"


def _chart(columns: list[dict[str, Any]]) -> str:
    """Matches over time; columns without any are left out."""
    counts = [column["matches"] for column in columns]
    most = max(1, *counts)
    return "".join(BARS[-(-count * (len(BARS) - 1) // most)] for count in counts)


def _difference(found: dict[str, Any]) -> Iterator[str]:
    sides = [name for name in found if name.startswith("only_")]
    told = ", ".join(f"{found[name]:,} {name.replace('_', ' ')}" for name in sides)
    yield f"difference: {found['both']:,} both, {told}"
    for name in sides:
        for one in found["listed"][name][:MOST_SHOWN]:
            why = WHY_ELSE.get(one.get("reason") or "")
            if why and one["detail"]:
                why = f"{why}: {one['detail']}"
            yield (
                f"  {name.replace('_', ' ')}: {moment(one['at'])}  {one['event_id'] or one['key']}"
                + (f"  ({why})" if why else "")
            )


def _notifications(listed: list[dict[str, Any]]) -> Iterator[str]:
    if listed:
        yield "the first notifications:"
    for one in listed[:MOST_SHOWN]:
        what = f"({one['reason']})" if one["held"] else f"{one['target']}  {one['message']}"
        whose = f"{one['rule']}: " if "rule" in one else ""
        yield f"  {moment(one['at'])}  {whose}{what}"


def _named(side: dict[str, Any]) -> str:
    return f"{side['name']} v{side['version']}" if side["version"] else str(side["name"])
