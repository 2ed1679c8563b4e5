"""Migrations only add, so that the code of the release before goes on writing while a newer schema is in place.

A rolling restart migrates first, and lets old processes run until the new ones are ready. What is no longer used is
dropped by a later release.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from psycopg import connect

from app.extensions import db
from tests.acceptance.stack import Stack

VERSIONS = Path(__file__).parents[1] / "migrations" / "versions"
FIRST = "0001_initial.py"
LATER = [file for file in sorted(VERSIONS.glob("*.py")) if file.name != FIRST]
BREAKS = {"drop_table", "drop_column", "rename_table", "drop_schema"}
HARDER = {"nullable": False, "new_column_name": None, "type_": None}


def faults(source: str) -> Iterator[str]:
    """What in `upgrade()` the code of the release before could stumble over."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and function.name == "upgrade":
            made = {call.args[0].value for call in calls(function) if named(call) == "create_table"}  # type: ignore[attr-defined]
            for call in calls(function):
                yield from faults_of(call, made)


def calls(node: ast.AST) -> list[ast.Call]:
    return [one for one in ast.walk(node) if isinstance(one, ast.Call)]


def named(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def given(call: ast.Call) -> dict[str | None, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def faults_of(call: ast.Call, made: set[object]) -> Iterator[str]:
    table = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    if named(call) in BREAKS:
        yield f"{named(call)} {table!r}"
    if named(call) == "alter_column":
        for word, value in given(call).items():
            strict = word != "nullable" or ast.unparse(value) == "False"
            if word in HARDER and strict:
                yield f"alter_column {table!r} {word}"
    if named(call) == "add_column" and table not in made:
        [column] = [one for one in calls(call) if named(one) == "Column"]
        words = given(column)
        required = ast.unparse(words.get("nullable", ast.Constant(value=True))) == "False"
        if required and not words.keys() & {"server_default"}:
            yield f"add_column {table!r} without server_default"
    if named(call) == "execute" and call.args:
        text = ast.unparse(call.args[0]).upper()
        if any(word in text for word in ("DROP TABLE", "DROP COLUMN", "RENAME")):
            yield f"execute {text[:60]}"


def test_each_migration_leaves_room_for_the_release_before() -> None:
    found = {file.name: list(faults(file.read_text(encoding="utf-8"))) for file in LATER}
    assert {name: problems for name, problems in found.items() if problems} == {}


@pytest.mark.parametrize(
    "line",
    [
        "op.drop_table('rules')",
        "op.drop_column('rules', 'name')",
        "op.alter_column('rules', 'name', new_column_name='title')",
        "op.alter_column('rules', 'name', nullable=False)",
        "op.add_column('rules', sa.Column('level', sa.Integer(), nullable=False))",
        "op.execute('ALTER TABLE rules RENAME COLUMN name TO title')",
    ],
)
def test_what_would_break_the_release_before_is_found(line: str) -> None:
    assert len(list(faults(f"def upgrade():\n    {line}\n"))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "op.add_column('rules', sa.Column('level', sa.Integer(), nullable=True))",
        "op.add_column('rules', sa.Column('level', sa.Integer(), nullable=False, server_default='0'))",
        "op.alter_column('rules', 'name', nullable=True)",
        "op.create_table('fresh', sa.Column('id', sa.Integer(), nullable=False))",
    ],
)
def test_what_only_adds_is_allowed(line: str) -> None:
    assert list(faults(f"def upgrade():\n    {line}\n")) == []


def test_the_models_are_what_the_migrations_make(app: Flask) -> None:
    def is_ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return not (kind == "table" and name is not None and name.startswith("events_"))

    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_ours})
        assert compare_metadata(context, db.metadata) == []


def test_a_database_that_cannot_hold_each_letter_is_refused_before_anything_is_in_it(
    servers: Stack,
) -> None:
    url = servers.database_url.replace("/sentinel?", "/ascii?")
    with connect(servers.database_url, autocommit=True) as admin:
        how = "TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
        admin.execute(f"CREATE DATABASE ascii {how}".encode())
        command = [sys.executable, "-P", "-m", "flask", "--app", "wsgi", "db", "upgrade"]
        done = subprocess.run(
            command,
            env={**servers.env, "DATABASE_URL": url},
            cwd=VERSIONS.parents[1],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
        assert "SQL_ASCII" in done.stderr
        assert "ENCODING UTF8 TEMPLATE template0" in done.stderr
        with connect(url) as refused:
            asked = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            assert refused.execute(asked).fetchone() == (0,)
        admin.execute("DROP DATABASE ascii (FORCE)")
