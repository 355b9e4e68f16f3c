"""Every way a file can end, with the words that must be said about it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ending:
    sql: str
    assertions: int
    says: tuple[str, ...] = ()  # in the text of a failure; an ending that says nothing passes


PLAN_1 = "begin; select plan(1);\n"
END = "\nselect * from finish(); rollback;"

ENDINGS = {
    "passes": Ending("begin; select plan(2); select pass('a'); select ok(true, 'b');" + END, 2),
    "no_plan": Ending("begin; select no_plan(); select pass('a');" + END, 1),
    "several_in_one_row": Ending(
        "begin; select plan(3); select skip('slow', 2); select pass('c');" + END, 3
    ),
    "several_in_one_statement": Ending(
        "begin; select plan(2); select pass(n) from unnest('{a,b}'::text[]) n;" + END, 2
    ),
    "other_output": Ending(
        "select 1, 2; select null; do $$ begin end $$;" + PLAN_1 + "select pass();" + END, 1
    ),
    "skip_all": Ending("select '1..0 # SKIP not on this server';", 0),
    "psql_lines": Ending(
        "\\set ECHO none\n\\pset format unaligned\n" + PLAN_1 + "select pass();", 1
    ),
    "without_transaction": Ending("select plan(1); select pass('a'); select * from finish();", 1),
    "todo": Ending(
        "begin; select plan(2); select todo('later', 2); select fail('a'); select pass('b');" + END,
        2,
    ),
    "as_another_role": Ending(
        "begin; select plan(2); create role pgtap_nobody; set local role pgtap_nobody;"
        " select is(current_user, 'pgtap_nobody'); reset role; select pass();" + END,
        2,
    ),
    "strings": Ending(
        PLAN_1 + "select is(E'\\';'::text, $a$';$a$, 'a; /* b') -- ;\n/* ; /* */ */;" + END,
        1,
    ),
    "failing": Ending(
        "begin;\nselect plan(2);\nselect pass('a');\nselect is(1,\n 2, 'b');" + END,
        2,
        ("1 of 2 assertions failed", "failing.sql:4: not ok 2 - b", "have: 1", "want: 2"),
    ),
    "too_few": Ending(
        "begin; select plan(3); select pass('a');" + END, 1, ("planned 3 but ran 1",)
    ),
    "too_many": Ending(
        PLAN_1 + "select pass('a'); select pass('b');" + END,
        2,
        ("1 of 2 assertions failed", "planned 1 but ran 2", "ok 2 - b (not planned)"),
    ),
    "never_finished": Ending(
        "begin; select no_plan(); select pass('a'); rollback;", 1, ("no plan found",)
    ),
    "no_plan_at_all": Ending("begin; select 'ok 1 - by hand'; rollback;", 1, ("no plan found",)),
    "plan_twice": Ending(
        PLAN_1 + "select '1..1'; select pass();" + END, 1, ("more than one plan",)
    ),
    "forgot_the_plan": Ending("begin; select pass('a'); rollback;", 0, ("P0001 You tried to run",)),
    "empty": Ending("", 0, ("no plan found",)),
    "only_comments": Ending("-- nothing\n/* at all */", 0, ("no plan found",)),
    "error_in_the_middle": Ending(
        "begin;\nselect plan(3);\nselect pass('a');\nselect fail('b');\n\nselect\n  1,\n"
        "  nothere;\nselect pass('c');" + END,
        2,
        (
            '1 of 2 assertions failed; error_in_the_middle.sql:8: 42703 column "nothere" does not',
            "error_in_the_middle.sql:4: not ok 2 - b",
            "after 2 of 3 planned assertions",
        ),
    ),
    "error_in_a_function": Ending(
        PLAN_1 + "\ndo $$ begin\n  raise notice 'so far';\n  perform 1 / 0;\nend $$;" + END,
        0,
        ("error_in_a_function.sql:3: 22012 division by zero", "context: SQL", "NOTICE: so far"),
    ),
    "constraint_at_commit": Ending(
        "select plan(1); select pass('a');\n"
        "create temp table t (id int unique deferrable initially deferred);\n"
        "begin; insert into t values (1), (1);\ncommit;",
        1,
        ("constraint_at_commit.sql:4: 23505", "detail: Key (id)=(1) already exists."),
    ),
    "finish_raises": Ending(
        PLAN_1 + "select fail('a'); select * from finish(true); rollback;",
        1,
        ("1 of 1 assertions failed", "P0001"),
    ),
    "disconnects": Ending(
        PLAN_1 + "select pass('a');\nselect pg_terminate_backend(pg_backend_pid());\nselect 1;",
        1,
        ("disconnects.sql:3: 57P01 terminating connection",),
    ),
    "unclosed": Ending("select plan(1);\nselect 'abc;", 0, ("unclosed.sql:2: a string is never",)),
    "latin1": Ending("select plan(1);\nselect pass('\udce4');", 0, ("latin1.sql:2: byte 0xe4",)),
    "binary": Ending("\x7fELF\0\x01\udcff", 0, ("binary.sql:1: byte 0xff is not UTF-8",)),
    "nul": Ending("select plan(1);\nselect pass('\0');", 0, ("nul.sql:2: a NUL byte",)),
    "syntax_error": Ending("select plan(1)\nselect pass();", 0, ("syntax_error.sql:2: 42601",)),
    "aborted": Ending(
        PLAN_1
        + "select throws_ok('select 1/0');\nsavepoint a; select nothing; rollback to a;"
        + END,
        1,
        ("aborted.sql:3: 42703",),
    ),
    "times_out_by_itself": Ending(
        PLAN_1 + "set local statement_timeout = 20;\nselect pg_sleep(60);" + END,
        0,
        ("times_out_by_itself.sql:3: 57014",),
    ),
    "ends_early": Ending(PLAN_1, 0, ("planned 1 but ran 0",)),
    "ends_without_finish": Ending(PLAN_1 + "select pass('a'); rollback;", 1),
    "ends_without_rollback": Ending(PLAN_1 + "select pass('a'); select * from finish();", 1),
    "plan_of_none": Ending("begin; select plan(0);" + END, 0, ("P0001",)),
    "plan_of_none_and_one": Ending("select '1..0'; select 'ok 1';", 1, ("planned 0 but ran 1",)),
    "plan_at_the_end": Ending("select 'ok 1'; select 'ok 2'; select '1..2';", 2),
    "plan_in_the_middle": Ending(
        "select 'ok 1'; select '1..2'; select 'ok 2';", 2, ("assertion 2 after the plan",)
    ),
    "plan_with_words": Ending("select '1..1 thing'; select 'ok 1';", 1, ("no plan found",)),
    "out_of_sequence": Ending(
        "select '1..2'; select 'ok 2'; select 'ok 1';", 2, ("assertion 2 out of sequence",)
    ),
    "without_numbers": Ending("select '1..2'; select 'ok'; select 'ok - b';", 2),
    "skip_of_a_failure": Ending(
        "select '1..1'; select 'not ok 1 # SKIP skipped tests pass';", 1, ("1 of 1",)
    ),
    "todo_by_hand": Ending("select '1..1'; select 'not ok 1 - a # todo later';", 1),
    "todo_escaped": Ending("select '1..1'; select 'not ok 1 - \\# TODO later';", 1, ("1 of 1",)),
    "todo_misspelt": Ending("select '1..1'; select 'not ok 1 # TODOS';", 1, ("1 of 1",)),
    "subtest_fails_alone": Ending("select '1..1'; select E'    not ok 1\\nok 1 - sums up';", 1),
    "version_of_tap": Ending(
        "select 'ok 1'; select 'TAP version 13'; select '1..1';", 1, ("version must come before",)
    ),
    "echoes": Ending("\\echo 1..1\nselect 'some', 'thing';\n\\echo 'ok 1 - by psql'", 1),
    "echoes_a_failure": Ending(
        "\\echo 1..1\n\\qecho not ok 1 - by psql", 1, ("not ok 1 - by psql",)
    ),
    "quits": Ending(PLAN_1 + "\\q\nselect pass();", 0, ("quits.sql:2: psql's \\q can't be run",)),
    "deferred_trigger": Ending(
        "begin; select plan(1); create table t (id int unique deferrable initially deferred);"
        " insert into t values (1), (1);\nset constraints all immediate; select pass();" + END,
        0,
        ("deferred_trigger.sql:2: 23505",),
    ),
    "loses_its_rights": Ending(
        "begin; select plan(1); create table t (); create role pgtap_nobody;\n"
        "set local role pgtap_nobody;\nselect * from t;" + END,
        0,
        ("loses_its_rights.sql:3: 42501",),
    ),
}

XUNIT = """
begin; create schema checks;
create function checks.test_a() returns setof text language plpgsql as
    $$ begin return next ok({}, 'inner'); end $$;
select * from runtests('checks'::name);
rollback;
"""
ENDINGS |= {
    "functions_pass": Ending(XUNIT.format("true"), 1),
    "functions_fail": Ending(
        XUNIT.format("false"), 1, ("not ok 1 - checks.test_a", 'Failed test 1: "inner"')
    ),
}

# Where pg_prove says otherwise: file, what this says, and why.
DIFFERENT = {
    "commits": Ending(
        "begin;\nselect plan(1); create table left_behind (); select pass();\ncommit;\n"
        "drop table left_behind;",
        1,
        # The next file would find what this one did; pg_prove does not look.
        ("commits.sql:3: commit stays in the database", "commits.sql:4: drop table stays"),
    ),
    "goes_on_after_errors": Ending(
        "\\set ON_ERROR_STOP off\nselect 1/0; select '1..1'; select 'ok 1';",
        0,
        # An error is a failure; pg_prove lets a file switch that off.
        ("psql's \\set can't be run",),
    ),
    "variables": Ending(
        "\\set n 1\nselect '1..' || :n; select 'ok 1';",
        0,
        # psql's variables, \\i and copy from stdin are psql's own.
        ("variables.sql:2: 42601",),
    ),
}
