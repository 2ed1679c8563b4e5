"""Forms made from schemas, for every kind of channel that there is and for fields that none has yet."""

import pytest
from marshmallow import Schema, fields, validate

from app.channels import registry
from app.console import schema_form
from app.console.schema_form import PREFIX, Input


class Everything(Schema):
    """A field of each type that a channel might have."""

    host = fields.String(metadata={"description": "where it is", "label": "Server"})
    page_url = fields.String(required=True)
    site = fields.Url()
    sender = fields.Email()
    port = fields.Integer(strict=True, validate=validate.Range(1, 65535), load_default=25)
    weight = fields.Float()
    tls = fields.Boolean()
    level = fields.String(validate=validate.OneOf(["low", "high"]))
    places = fields.List(fields.String())
    headers = fields.Dict(keys=fields.String(), values=fields.String())
    password = fields.String(metadata={"secret": True})
    more = fields.Dict()


SCHEMA = Everything()


def named(inputs: list[Input]) -> dict[str, Input]:
    return {one.name.removeprefix(PREFIX): one for one in inputs}


def typed(**values: str) -> dict[str, str]:
    return {PREFIX + name: value for name, value in values.items()}


def test_each_type_has_its_input() -> None:
    found = named(schema_form.inputs(SCHEMA, {}))
    assert {name: one.control for name, one in found.items()} == {
        "page_url": "url",
        "host": "text",
        "site": "url",
        "sender": "email",
        "port": "number",
        "weight": "decimal",
        "tls": "switch",
        "level": "choice",
        "places": "lines",
        "headers": "pairs",
        "password": "password",
        "more": "json",
    }
    assert found["level"].choices == ("low", "high")
    assert (found["port"].least, found["port"].most, found["port"].value) == (1, 65535, "25")
    assert (found["host"].label, found["host"].help) == ("Server", "where it is")
    assert found["page_url"].label == "Page URL"


def test_what_is_required_comes_first_and_what_all_have_last() -> None:
    names = [one.name for one in schema_form.inputs(SCHEMA, {}, last=["host"])]
    assert names[0] == "config.page_url"
    assert names[-1] == "config.host"


def test_what_is_typed_becomes_the_document_that_the_schema_loads() -> None:
    document, errors = schema_form.read(
        SCHEMA,
        typed(
            page_url=" https://a.example ",
            port="2525",
            weight="1.5",
            tls="on",
            level="high",
            places="a\r\n\r\n b ",
            headers="Authorization: Bearer a:b\nX-Y: 1",
            password="s3cret",
            more='{"a": [1]}',
        ),
    )
    assert errors == {}
    assert SCHEMA.load(document) == {
        "page_url": "https://a.example",
        "port": 2525,
        "weight": 1.5,
        "tls": True,
        "level": "high",
        "places": ["a", "b"],
        "headers": {"Authorization": "Bearer a:b", "X-Y": "1"},
        "password": "s3cret",
        "more": {"a": [1]},
    }


def test_a_document_is_shown_as_it_would_be_typed_and_read_again() -> None:
    document = {
        "page_url": "https://a.example",
        "port": 25,
        "tls": True,
        "places": ["a", "b"],
        "headers": {"A": "1"},
        "more": {"x": None},
    }
    shown = {one.name: one.value for one in schema_form.inputs(SCHEMA, document)}
    again, errors = schema_form.read(SCHEMA, shown)
    assert (again, errors) == (document, {})


def test_what_is_empty_is_left_out_of_something_new_and_taken_away_in_a_change() -> None:
    assert schema_form.read(SCHEMA, typed(host=" ", password=""))[0] == {}
    changed, _ = schema_form.read(SCHEMA, typed(host=" ", password=""), changing=True)
    assert changed["host"] is None
    assert changed["tls"] is False
    assert "password" not in changed


def test_a_secret_goes_only_where_that_is_said() -> None:
    cleared = {"clear.password": "on", **typed(password="")}
    assert schema_form.read(SCHEMA, cleared, changing=True)[0]["password"] is None
    replaced = {"clear.password": "on", **typed(password="new")}
    assert schema_form.read(SCHEMA, replaced, changing=True)[0]["password"] == "new"


def test_a_secret_is_never_shown_neither_stored_nor_typed() -> None:
    one = named(
        schema_form.inputs(
            SCHEMA, {"password": "old"}, kept={"password"}, typed=typed(password="new")
        )
    )["password"]
    assert (one.value, one.secret, one.kept) == ("", True, True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "many"),
        ("port", "70000"),
        ("weight", "x"),
        ("level", "medium"),
        ("sender", "nobody"),
        ("headers", "no colon"),
        ("more", "{"),
        ("host", "a\0b"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_stays_typed(name: str, text: str) -> None:
    given = typed(page_url="https://a.example", **{name: text})
    document, errors = schema_form.read(SCHEMA, given)
    errors = {**schema_form.check(SCHEMA, document), **errors}
    assert list(errors) == [name]
    one = named(schema_form.inputs(SCHEMA, {}, typed=given, errors=errors))[name]
    assert one.value == text
    assert one.wrong


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_of_channel_has_an_input_for_each_of_its_settings(kind: str) -> None:
    channel = registry.get(kind)
    found = named(schema_form.inputs(channel.config_schema, {}))
    assert set(found) == set(channel.config_schema.fields)
    assert {name for name, one in found.items() if one.secret} == channel.secret_fields
    assert not [one for one in found.values() if one.control == "json"]
