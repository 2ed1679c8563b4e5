"""The bundle that is committed is what its sources give, so that who runs Sentinel needs no node."""

from pathlib import Path

from app.console.assets import FOLDER
from tests.acceptance.bundle import npm


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_bundle_is_what_the_sources_and_the_locked_packages_give(console_sources: Path) -> None:
    built = npm(console_sources, "run", "-s", "build")
    assert built.returncode == 0, built.stderr
    made, committed = contents(console_sources / "dist"), contents(FOLDER)
    assert sorted(made) == sorted(committed)
    differing = [name for name, text in made.items() if committed[name] != text]
    assert differing == [], "npm run build in app/console/static, and commit dist/"
