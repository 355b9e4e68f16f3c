"""The generator, from the text of comments to the text of files."""

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rendio import sqlfiles
from rendio.gen.catalog import Api, Argument, Error, Function, GenError, check
from rendio.gen.comments import CommentError, Shape, Type, parse
from rendio.gen.errors import errors
from rendio.gen.python import calls, results
from rendio.gen.reference import reference

COMMENT = """Take things, and say so.

Prose goes on
over lines. p_key is named.

p_key: a name with a \\ in it,
which goes on.
p_class: null or true.

@nullable p_class
@returns {things: [thing]?, next_at: timestamptz?,
    settings: jsonb}
@shape thing {id: uuid, inner: inner, tags: [text], ids: [uuid]}
@shape inner {made_at: timestamptz}
@raises PT404 thing_not_found"""

ERRORS = (
    Error("PT404", "thing_not_found", "There is no such thing."),
    Error("PT404", "other_not_found", "Nor such another."),
    Error("PT413", "too_large", "Send less."),
)


@pytest.fixture
def api() -> Api:
    comment = parse(COMMENT)
    assert isinstance(comment.returns, Shape)
    arguments = (
        Argument("p_key", "text", None, False),
        Argument("p_class", "jsonb", None, True),
        Argument("p_before", "timestamptz", "NULL::timestamp with time zone", True),
        Argument("p_lease", "interval", "'00:02:00'::interval", False),
        Argument("p_at", "timestamptz", "now()", False),
    )
    take = Function(
        "take_things", "things", arguments, Type("take_things_result"), False, "self", comment
    )
    counted = Function(
        "count_things", "things", (), Type("bigint"), False, "anyone", parse("How many.")
    )
    listed = Function(
        "list_things", "things", (), Type("thing", True), True, "service", parse("All of them.")
    )
    shapes = comment.shapes | {"take_things_result": comment.returns}
    return Api((counted, listed, take), shapes, ERRORS)


# --- comments -------------------------------------------------------------------------------------


def test_a_comment_is_taken_apart() -> None:
    comment = parse(COMMENT)
    assert comment.summary == "Take things, and say so."
    assert comment.prose == ("Prose goes on over lines. p_key is named.",)
    assert comment.arguments == {
        "p_key": "a name with a \\ in it, which goes on.",
        "p_class": "null or true.",
    }
    assert comment.nullable == ("p_class",)
    assert comment.raises == (("PT404", "thing_not_found"),)
    assert comment.returns == Shape(
        {
            "things": Type("thing", is_list=True, nullable=True),
            "next_at": Type("timestamptz", nullable=True),
            "settings": Type("jsonb"),
        }
    )
    assert str(comment.shapes["thing"]) == "{id: uuid, inner: inner, tags: [text], ids: [uuid]}"


@pytest.mark.parametrize(
    "tag",
    [
        "@return {a: text}",
        "@returns {a text}",
        "@returns {a: text",
        "@returns {a: text} b",
        "@returns {}",
        "@returns [{a: text}]",
        "@returns a\n@returns b",
        "@shape a: text",
        "@shape thing text",
        "@raises PT404",
        "@raises 42501 denied",
    ],
)
def test_what_leaves_the_convention_is_refused(tag: str) -> None:
    with pytest.raises(CommentError):
        parse(f"Summary.\n\n{tag}")


# --- what cannot be generated ---------------------------------------------------------------------


def changed(api: Api, **changes: Any) -> Api:
    """The API with its last function changed."""
    *others, last = api.functions
    return replace(api, functions=(*others, replace(last, **changes)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "list_things"}, "overloaded"),
        ({"returns": Type("nothing")}, "neither a type nor a @shape: nothing"),
        ({"arguments": (Argument("key", "text", None, False),)}, "argument key text"),
        ({"arguments": (Argument("p_key", "point", None, False),)}, "argument p_key point"),
        ({"comment": parse("S.\n\n@raises PT404 unheard_of")}, "unheard_of"),
    ],
)
def test_an_api_that_no_client_could_call_is_refused(
    api: Api, changes: dict[str, Any], told: str
) -> None:
    check(api)
    with pytest.raises(GenError, match=told):
        check(changed(api, **changes))


def test_errors_of_one_name_are_refused(api: Api) -> None:
    with pytest.raises(GenError, match="NotFound"):
        errors(replace(api, errors=(*ERRORS, Error("PT409", "not_found", "Clashes."))))


# --- Python ---------------------------------------------------------------------------------------


def test_results_contain_each_other(api: Api) -> None:
    text = results(api)
    assert text.index("class Inner:") < text.index("class Thing:")
    assert text.index("class Thing:") < text.index("class TakeThingsResult:")
    for line in (
        "    things: list[Thing] | None = None",
        "    settings: dict[str, Any]",
        '            things=optional(each, Thing.from_json, data.get("things")),',
        '            next_at=optional(timestamp, data.get("next_at")),',
        '            inner=Inner.from_json(data["inner"]),',
        '            tags=data["tags"],',
        '            ids=each(UUID, data["ids"]),',
    ):
        assert f"{line}\n" in text
    assert '"""Returned by `list_things`, `take_things`."""' in text


def test_calls_show_the_sql(api: Api) -> None:
    text = calls(api, is_async=False)
    method = text[text.index("    def take_things(") :]
    assert (
        method
        == '''    def take_things(
        self,
        *,
        key: str,
        class_: dict[str, Any] | None,
        before: datetime | None = None,
        lease: timedelta = default("'00:02:00'"),
        at: datetime = default("now()"),
    ) -> TakeThingsResult:
        """Take things, and say so.

        Prose goes on over lines. key is named.

        key: a name with a \\\\ in it, which goes on.
        class: None or True.

        Raises `ThingNotFound`.
        """
        return self._call(
            "select pg_catalog.to_jsonb(public.take_things({}))::text",
            TakeThingsResult.from_json,
            ("p_key => %s::text", key),
            ("p_class => %s::jsonb", jsonb(class_)),
            ("p_before => %s::timestamptz", unless_none(before)),
            ("p_lease => %s::interval", lease),
            ("p_at => %s::timestamptz", at),
        )
'''
    )


def test_the_halves_differ_by_async_and_await_alone(api: Api) -> None:
    sync, asynchronous = (calls(api, is_async=is_async) for is_async in (False, True))
    undone = asynchronous.replace("async def", "def").replace("await ", "")
    undone = undone.replace("AsyncRpc", "Rpc").replace("AsyncClient", "Client")
    assert undone.replace("API, async;", "API, sync;") == sync


def test_generated_python_is_clean(api: Api) -> None:
    rendered = {
        "results.py": results(api),
        "errors.py": errors(api),
        "_rpc_sync.py": calls(api, is_async=False),
        "_rpc_async.py": calls(api, is_async=True),
    }
    for name, text in rendered.items():
        ast.parse(text)
        for command in (["check"], ["format", "--check"]):
            path = str(sqlfiles.root() / "py_glue" / "rendio" / name)
            ran = subprocess.run(
                [sys.executable, "-m", "ruff", *command, "--stdin-filename", path, "-"],
                input=text,
                capture_output=True,
                text=True,
                cwd=sqlfiles.root(),
            )
            assert ran.returncode == 0, f"{name}: {ran.stdout}{ran.stderr}"


def test_errors_are_drawn_as_a_tree(api: Api) -> None:
    text = errors(api)
    assert (
        """
    RendioError
    ├── Forbidden             403
    │   └── PermissionDenied  42501
    ├── NotFound              404
    │   ├── OtherNotFound     other_not_found
    │   └── ThingNotFound     thing_not_found
    ├── ContentTooLarge       413
    │   └── TooLarge          too_large
    ├── DatabaseOutdated      a function or a key is missing: rendio apply
    └── RetryableConflict     40001, 40P01: repeat the transaction
"""
        in text
    )
    assert 'class ThingNotFound(NotFound):\n    """There is no such thing."""' in text


# --- reference ------------------------------------------------------------------------------------


def test_the_reference_lists_every_function(api: Api) -> None:
    text = reference(api)
    assert "| [`take_things`](#take_things) | self | Take things, and say so. |\n" in text
    assert "take_things(\n    p_key text,\n    p_class jsonb,\n" in text
    assert "    p_before timestamptz default null,\n" in text
    assert "    p_lease interval default '00:02:00',\n    p_at timestamptz default now()\n" in text
    assert "- `p_key`: a name with a \\ in it, which goes on.\n" in text
    assert "Returns `[thing]`." in text
    assert "Raises PT404 `thing_not_found`." in text
    assert "| PT413 | `too_large` | `TooLarge` | Send less. |\n" in text


def test_the_package_carries_the_schemas_query() -> None:
    assert (Path(sys.modules["rendio.gen"].__file__ or "").parent / "schema.sql").exists()
