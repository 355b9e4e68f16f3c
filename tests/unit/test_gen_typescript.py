"""TypeScript definitions, from the text of comments to the text of the file."""

from rendio.gen.catalog import Api, Argument, Error, Function
from rendio.gen.comments import Shape, Type, parse
from rendio.gen.typescript import Column, typescript

COMMENT = """Take things */ and say so.

@nullable p_settings
@returns {things: [thing]?, next_at: timestamptz?, left: bigint}
@shape thing {id: uuid, settings: jsonb, tags: [text], is_new: boolean}
@raises PT404 thing_not_found"""

ERRORS = (Error("PT404", "thing_not_found", "No such."), Error("PT413", "too_large", "Less."))


def rendered() -> str:
    comment = parse(COMMENT)
    assert isinstance(comment.returns, Shape)
    arguments = (
        Argument("p_key", "uuid", None, False),
        Argument("p_settings", "jsonb", None, True),
        Argument("p_lease", "interval", "'00:02:00'::interval", False),
    )
    returns = Type("take_things_result")
    take = Function("take_things", "things", arguments, returns, False, "self", comment)
    count = Function("count", "things", (), Type("bigint"), False, "anyone", parse("How many."))
    rows = Type("thing", is_list=True)
    listed = Function("list_things", "things", (), rows, True, "service", parse("All."))
    shapes = comment.shapes | {"take_things_result": comment.returns}
    columns = [
        Column("boxes", "id", "uuid", False, False),
        Column("boxes", "label", "text", True, True),
        Column("boxes", "size", "crate.size", True, False, ["small", "large"]),
        Column("lids", "made_at", "timestamp with time zone", False, False),
    ]
    return typescript(Api((take, count, listed), shapes, ERRORS), columns)


def test_error_slugs_are_a_union() -> None:
    assert 'export type ErrorSlug =\n  | "thing_not_found"\n  | "too_large";\n' in rendered()


def test_a_shape_is_an_interface() -> None:
    text = rendered()
    assert (
        "export interface TakeThingsResult {\n  things: Thing[] | null;\n"
        "  next_at: string | null;\n  left: number;\n}\n"
    ) in text
    assert (
        "export interface Thing {\n  id: string;\n  settings: Json;\n  tags: string[];\n"
        "  is_new: boolean;\n}\n"
    ) in text


def test_an_argument_with_a_default_may_be_left_out() -> None:
    assert (
        "      take_things: {\n"
        "        Args: {\n"
        "          p_key: string;\n"
        "          p_settings: Json | null;\n"
        "          p_lease?: string;\n"
        "        };\n"
        "        Returns: TakeThingsResult;\n"
        "      };\n"
    ) in rendered()


def test_a_function_without_arguments_takes_none() -> None:
    text = rendered()
    assert "      count: {\n        Args: never;\n        Returns: number;\n      };\n" in text
    assert "      list_things: {\n        Args: never;\n        Returns: Thing[];\n" in text


def test_a_comment_says_who_and_what_is_raised_and_ends_where_it_should() -> None:
    assert (
        "      /**\n"
        "       * Take things *\\/ and say so.\n"
        "       * Who: self.\n"
        "       * Raises thing_not_found.\n"
        "       */\n"
        "      take_things: {\n"
    ) in rendered()


def test_a_table_has_what_may_be_read_and_what_may_be_written() -> None:
    text = rendered()
    assert (
        "      boxes: {\n"
        "        Row: {\n          id: string;\n          label: string | null;\n"
        '          size: "small" | "large" | null;\n        };\n'
        "        Insert: never;\n"
        "        Update: {\n          label?: string | null;\n        };\n"
        "        Relationships: [];\n"
        "      };\n"
    ) in text
    assert "      lids: {\n        Row: {\n          made_at: string;\n        };\n" in text
    assert "Update: never;" in text.partition("lids: {")[2]


def test_no_table_is_an_empty_section() -> None:
    api = Api((), {}, ERRORS)
    assert "    Tables: { [_ in never]: never };\n" in typescript(api, [])
