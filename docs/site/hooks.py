"""What the site has beside the pages in `docs/`: the README as its first page, and the reference of the API."""

import re
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
# Pages that stand outside `docs/`, and what the site calls them.
OUTSIDE: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "license.md",
}
# The application tells of itself without its servers.
NOWHERE: Final = {
    "SENTINEL_SECRET_KEY": urlsafe_b64encode(bytes(32)).decode(),
    "DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SENTINEL_AUTH": "off",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the decisions, of which there are more and more, at the end of the way through the pages."""
    decisions = sorted(Path(config.docs_dir, "decisions").glob("*.md"))
    assert config.nav is not None
    config.nav.append({"Decisions": [f"decisions/{page.name}" for page in decisions]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    for name, page in OUTSIDE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        text = text if name.endswith(".md") else f"# {name.capitalize()}\n\n```text\n{text}```\n"
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "api.md", content=reference()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to what the checkout has elsewhere lead to the same on the site."""
    outside = "|".join(map(re.escape, OUTSIDE))
    markdown = re.sub(rf"\]\((?:\.\./)*({outside})\)", lambda to: f"]({OUTSIDE[to[1]]})", markdown)
    markdown = re.sub(r"\]\(docs/", "](", markdown)
    first = next(uri for uri in sorted(files.src_uris) if uri.startswith("decisions/"))
    markdown = markdown.replace("](decisions/)", f"]({first})")
    return markdown.replace("](examples/)", "](examples/recipes.rules)")


def reference() -> str:
    """The reference of the API, from the document that it serves."""
    sys.path.insert(0, str(ROOT))
    from app.api.docs import operations_by_tag
    from app.config import Settings
    from app.factory import create_app

    client = create_app(Settings.from_env(NOWHERE)).test_client()
    document = client.get("/openapi.json").get_json()
    # What it writes is Markdown, which is no HTML to escape.
    jinja = Environment(loader=FileSystemLoader(HERE), trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    tags = {tag["name"]: tag.get("description", "") for tag in document.get("tags", [])}
    return jinja.get_template("api.md.jinja").render(groups=operations_by_tag(document), tags=tags)
