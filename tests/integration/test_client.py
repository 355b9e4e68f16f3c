"""The client: each test on `Client` and `AsyncClient`, direct and through pgbouncer."""

import contextlib
import inspect
import json
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from rendio import AsyncClient, Client, errors, results
from servers import Cluster
from sides import Side

pytestmark = pytest.mark.shapeless

MODEL = UUID("5f3b1e70-0000-4000-8000-000000000001")  # comes with rendio, costs COST
COST = 4
GRANT = 10  # of a new guest


@pytest.fixture(params=["direct", "pooled"])
def way(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Turn a database's URL into the one that the client uses."""
    if request.param == "direct":
        return lambda url: url
    pooled: Callable[[str], str] = request.getfixturevalue("pooled_url")
    return pooled


@pytest.fixture(params=["sync", "async"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "async")


@pytest.fixture
def side(module_db: str, way: Callable[[str], str], is_async: bool) -> Iterator[Side]:
    with Side(is_async, way(module_db)) as side:
        yield side


@pytest.fixture
def own_side(db: str, way: Callable[[str], str], is_async: bool) -> Iterator[Side]:
    """A side on a database that the test may change."""
    with Side(is_async, way(db)) as side:
        yield side


@pytest.fixture
def rendio(side: Side) -> Any:
    return side.client()


def new_user(rendio: Any) -> UUID:
    found = rendio.device_check(user_id=None, device_id=f"device-{uuid4()}")
    assert isinstance(found.user_id, UUID)
    return found.user_id


def video(user_id: UUID, **changes: Any) -> dict[str, Any]:
    """The arguments of a request for one video."""
    return {
        "user_id": user_id,
        "model_id": MODEL,
        "prompt": "a cat surfing",
        "settings": {"resolution": "1080p"},
        "idempotency_key": uuid4(),
    } | changes


def balance(rendio: Any, user_id: UUID) -> int:
    return int(rendio.get_user_credits(user_id=user_id).credits_remaining)


# --- calls ----------------------------------------------------------------------------------------


def test_a_video_from_the_request_to_its_end(rendio: Any) -> None:
    before = datetime.now(UTC)
    guest = rendio.device_check(user_id=None, device_id=f"device-{uuid4()}", language="pt-BR")
    assert guest == results.DeviceCheckResult(
        user_id=guest.user_id, is_new=True, is_guest=True, tier="free", credits_remaining=GRANT
    )
    app, me = rendio.as_user(guest.user_id), guest.user_id
    made = app.generate_video_atomic(**video(me))
    assert (made.status, made.credits_used, made.replayed) == ("pending", COST, False)

    claimed = rendio.claim_video_jobs(worker="w1", limit=100, lease=timedelta(minutes=1)).jobs
    (work,) = [job for job in claimed if job.job_id == made.job_id]
    assert work.settings == {"resolution": "1080p"}
    assert work.lease_expires_at > before
    provider_id = f"fal-{uuid4()}"
    started = rendio.start_video_job(
        user_id=me, job_id=made.job_id, provider_job_id=provider_id, attempt=work.attempt
    )
    assert started.current is True
    ended = rendio.complete_video_job(
        provider="fal", provider_job_id=provider_id, video_url="https://v/1", credits_charged=3
    )
    assert (ended.credits_charged, ended.credits_refunded) == (3, 1)

    job = app.get_video_status(user_id=me, job_id=made.job_id)
    assert (job.status, job.video_url, job.error_code) == ("completed", "https://v/1", None)
    assert job.completed_at is not None
    assert job.completed_at.tzinfo is UTC
    assert app.get_video_jobs(user_id=me).jobs == [job]
    changes = [entry.change for entry in app.get_credit_history(user_id=me).entries]
    assert changes == [1, -COST, GRANT]
    assert rendio.balance_at(user_id=me, at=before) == 0
    assert rendio.balance_at(user_id=me, at=datetime.now(UTC)) == GRANT - 3
    assert rendio.reconcile_credits(user_id=me) == []


def test_a_guest_signs_in_and_leaves(rendio: Any) -> None:
    account, guest, sub = new_user(rendio), new_user(rendio), f"sub-{uuid4()}"
    first = rendio.link_apple_account(user_id=account, apple_sub=sub, email="a@example.com")
    assert first == results.LinkAppleAccountResult(
        user_id=account, merged_from=None, credits_remaining=GRANT, replayed=False
    )
    taken_over = rendio.link_apple_account(user_id=guest, apple_sub=sub)
    assert (taken_over.user_id, taken_over.merged_from) == (account, guest)
    assert taken_over.credits_remaining == 2 * GRANT
    with pytest.raises(errors.AccountMerged):
        rendio.generate_video_atomic(**video(guest))

    app = rendio.as_user(account)
    kept = results.DeleteAccountResult(user_id=account, deleted=True, replayed=False)
    assert app.delete_account(user_id=account) == kept
    assert rendio.delete_account(user_id=account).replayed
    with pytest.raises(errors.UserNotFound):
        app.get_user_credits(user_id=account)


def test_a_retry_with_the_same_key_returns_the_first_result(rendio: Any) -> None:
    user = new_user(rendio)
    request = video(user)
    first, again = (rendio.generate_video_atomic(**request) for _ in range(2))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.job_id == first.job_id
    assert balance(rendio, user) == GRANT - COST


def test_pages_follow_each_other(rendio: Any) -> None:
    user = new_user(rendio)
    for amount in (1, 2):
        rendio.add_credits(
            user_id=user, amount=amount, reason="promo_grant", idempotency_key=uuid4()
        )
    seen: list[int] = []
    page = rendio.get_credit_history(user_id=user, limit=2)
    seen += [entry.change for entry in page.entries]
    page = rendio.get_credit_history(
        user_id=user, limit=2, before_seq=page.next_before_seq, before_at=page.next_before_at
    )
    seen += [entry.change for entry in page.entries]
    assert seen == [2, 1, GRANT]
    assert page.next_before_seq is None


def test_an_unchanged_model_list_is_not_sent_again(rendio: Any) -> None:
    anon = rendio.as_anon()
    first = anon.get_models()
    assert not first.not_modified
    assert {type(model) for model in first.models} == {results.Model}
    assert anon.get_models(if_none_match=first.etag) == results.GetModelsResult(
        etag=first.etag, not_modified=True, models=None
    )


def test_discrepancies_are_listed(own_side: Side, db: str, connect: Any) -> None:
    rendio = own_side.client()
    user = new_user(rendio)
    owner = connect(db, role="rendio_owner")
    owner.execute("update public.users set credits_remaining = 99 where id = %s", [user])
    found = rendio.reconcile_credits()
    assert found == [
        results.Discrepancy(
            user_id=user, problem="balance_differs_from_ledger", expected=GRANT, actual=99
        )
    ]


def test_times_are_aware_whatever_the_sessions_zone(side: Side) -> None:
    conn = side.connection(autocommit=True)
    rendio = side.client(conn)
    with conn.transaction():
        conn.execute("set local time zone 'Asia/Kolkata'")
        conn.execute("set local datestyle = 'German'")
        user = new_user(rendio)
        (entry,) = rendio.get_credit_history(user_id=user).entries
        noon_elsewhere = entry.created_at.astimezone(timezone(timedelta(hours=-8)))
        assert rendio.balance_at(user_id=user, at=noon_elsewhere) == GRANT
        assert rendio.balance_at(user_id=user, at=entry.created_at - timedelta(hours=1)) == 0
    assert entry.created_at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(rendio: Any) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        rendio.balance_at(user_id=uuid4(), at=datetime(2026, 11, 1))


def test_many_calls_on_one_url_need_no_prepared_statement(side: Side) -> None:
    """psycopg prepares what comes the sixth time; a pooler in transaction mode cannot carry it."""
    clients = [side.client() for _ in range(2)]
    for _ in range(8):
        for client in clients:
            client.get_models()
    assert side.client(side.connection()).get_models().etag == clients[0].get_models().etag


# --- who calls ------------------------------------------------------------------------------------


def test_a_user_may_what_is_its_own(rendio: Any) -> None:
    me, other = new_user(rendio), new_user(rendio)
    app = rendio.as_user(me)
    assert balance(app, me) == GRANT
    with pytest.raises(errors.NotYourAccount):
        app.get_user_credits(user_id=other)
    with pytest.raises(errors.PermissionDenied) as refused:
        app.add_credits(user_id=me, amount=1, reason="promo_grant", idempotency_key=uuid4())
    assert refused.value.status == 403
    with pytest.raises(errors.Forbidden):
        rendio.as_anon().get_user_credits(user_id=me)
    assert balance(rendio, me) == GRANT


@pytest.mark.parametrize("autocommit", [True, False])
def test_nothing_sticks_to_the_session(side: Side, autocommit: bool) -> None:
    conn = side.connection(autocommit=autocommit)
    rendio = side.client(conn)
    me = new_user(rendio)
    app = rendio.as_user(me)
    for call in (me, uuid4()):  # one that works and one that fails
        with contextlib.suppress(errors.NotYourAccount):
            app.get_user_credits(user_id=call)
        assert conn.info.transaction_status == TransactionStatus.IDLE
        assert identity(conn) == ("none", "")
        conn.rollback()


def identity(conn: Any) -> tuple[str, str]:
    row = conn.execute(
        "select current_setting('role'), coalesce(current_setting('request.jwt.claims', true), '')"
    ).fetchone()
    return row[0], row[1]


def test_as_user_within_a_callers_transaction_and_back(side: Side) -> None:
    conn = side.connection()
    rendio = side.client(conn)
    me, other = new_user(rendio), new_user(rendio)
    claims = json.dumps({"sub": str(other), "role": "authenticated"})
    with conn.transaction():
        conn.execute("select set_config('role', 'service_role', true)")
        conn.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        # The older form of the claim comes first wherever it is set.
        conn.execute("select set_config('request.jwt.claim.sub', %s, true)", [str(other)])
        assert balance(rendio.as_user(me), me) == GRANT
        assert identity(conn) == ("service_role", claims)
        with pytest.raises(errors.NotYourAccount), conn.transaction():
            rendio.as_user(me).get_user_credits(user_id=other)
        assert identity(conn) == ("service_role", claims)
        row = conn.execute("select current_setting('request.jwt.claim.sub')").fetchone()
        assert row == (str(other),)
    assert identity(conn) == ("none", "")


def test_users_at_once_never_mix(side: Side) -> None:
    rendio = side.client(side.pool(autocommit=True))
    on_one_connection = side.client()
    users = [new_user(rendio) for _ in range(4)]
    calls = [
        (client.as_user(user), "get_user_credits", {"user_id": user})
        for client in (rendio, on_one_connection)
        for user in users * 3
    ]
    assert {found.credits_remaining for found in side.at_once(calls)} == {GRANT}


# --- transactions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_call_on_an_idle_connection_is_committed(side: Side, autocommit: bool) -> None:
    conn = side.connection(autocommit=autocommit)
    user = new_user(side.client(conn))
    assert conn.info.transaction_status == TransactionStatus.IDLE
    assert balance(side.client(), user) == GRANT


def test_calls_join_the_callers_transaction(side: Side) -> None:
    conn = side.connection()
    rendio, outside = side.client(conn), side.client()
    user = new_user(outside)
    with conn.transaction(force_rollback=True):
        rendio.generate_video_atomic(**video(user))
        rendio.as_user(user).generate_video_atomic(**video(user))
        assert balance(rendio, user) == GRANT - 2 * COST
        assert balance(outside, user) == GRANT
    assert balance(outside, user) == GRANT
    with conn.transaction():
        rendio.generate_video_atomic(**video(user))
    assert balance(outside, user) == GRANT - COST


def test_a_call_adds_no_savepoint_to_the_callers_transaction(side: Side) -> None:
    """Each would take a transaction id of its own; who wants one says so."""
    conn = side.connection()
    rendio = side.client(conn)
    user = new_user(rendio)
    with conn.transaction(force_rollback=True):
        rendio.as_user(user).generate_video_atomic(**video(user))
        row = conn.execute(
            "select pg_current_xact_id()::xid = xmin from public.users where id = %s", [user]
        ).fetchone()
    assert row == (True,)


def test_after_an_error_the_callers_savepoint_decides(side: Side) -> None:
    conn = side.connection()
    rendio = side.client(conn)
    user = new_user(rendio)
    with conn.transaction():
        rendio.generate_video_atomic(**video(user))
        with pytest.raises(errors.ModelNotFound), conn.transaction():
            rendio.generate_video_atomic(**video(user, model_id=uuid4()))
        rendio.generate_video_atomic(**video(user))
    assert balance(rendio, user) == GRANT - 2 * COST
    with conn.transaction(force_rollback=True):
        with pytest.raises(errors.ModelNotFound):
            rendio.generate_video_atomic(**video(user, model_id=uuid4()))
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            rendio.get_user_credits(user_id=user)


def test_a_failed_call_leaves_the_connection_usable(rendio: Any) -> None:
    user = new_user(rendio)
    for _ in range(2):
        with pytest.raises(errors.InsufficientCredits):
            rendio.add_credits(
                user_id=user, amount=-99, reason="admin_adjustment", idempotency_key=uuid4()
            )
    assert balance(rendio, user) == GRANT


# --- connections ----------------------------------------------------------------------------------


def test_what_was_given_is_never_closed(side: Side) -> None:
    conn, pool = side.connection(), side.pool()
    for given in (conn, pool):
        with side.client(given) as rendio:
            rendio.get_models()
        rendio.close()
        assert not given.closed
        rendio.get_models()


def test_a_url_is_opened_when_needed_and_closed(side: Side) -> None:
    conn = side.connection(autocommit=True)

    def sessions() -> int:
        query = (  # a pooler has a session of its own beside, to look up the user
            "select count(*) from pg_stat_activity"
            " where application_name = %s and usename = session_user"
        )
        return int(conn.execute(query, [name]).fetchone()[0])

    name = f"app-{uuid4()}"
    rendio = side.client(f"{side.url}&application_name={name}")
    assert sessions() == 0
    rendio.get_models()
    seen = sessions()
    rendio.as_anon().close()  # a view opened nothing
    assert sessions() == seen == 1
    with rendio:
        rendio.get_models()
    if "pooler" not in side.url:  # a pooler keeps its own connection to the server
        wait_until(lambda: sessions() == 0)
    rendio.get_models()


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for what the server does a moment after it has answered."""
    for _ in range(10_000):
        if true():
            return
    pytest.fail("it never happened")


def test_a_lost_connection_is_opened_again(own_side: Side, db: str, server: Cluster) -> None:
    rendio = own_side.client()
    rendio.get_models()
    with server.admin() as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
            [conninfo_to_dict(db)["dbname"]],
        )
    with contextlib.suppress(psycopg.OperationalError):  # a pooler may have noticed by itself
        rendio.get_models()
    assert rendio.get_models().models


def test_the_callers_factories_are_not_in_the_way(side: Side) -> None:
    conn = side.connection(
        autocommit=True,
        row_factory=dict_row,
        cursor_factory=psycopg.AsyncRawCursor if side.is_async else psycopg.RawCursor,
    )
    conn.adapters.register_loader("jsonb", psycopg.types.string.TextLoader)
    rendio = side.client(conn)
    user = new_user(rendio)
    assert rendio.as_user(user).get_user_credits(user_id=user).tier == "free"
    row = conn.execute("select $1::int as n", [1]).fetchone()
    assert row == {"n": 1}


def test_a_connection_of_the_other_kind_is_refused(side: Side) -> None:
    other, kind = (Client, "Client") if side.is_async else (AsyncClient, "AsyncClient")
    for given in (side.connection(), side.pool()):
        target = getattr(given, "_target", given)
        with pytest.raises(TypeError, match=f"^{kind} takes a URL"):
            other(target)


def test_an_unreachable_server_is_psycopgs_error(side: Side) -> None:
    with pytest.raises(psycopg.OperationalError):
        side.client("postgresql://nobody@/rendio?host=/nonexistent").get_models()


# --- errors ---------------------------------------------------------------------------------------


def test_a_refusal_carries_everything(rendio: Any) -> None:
    user = new_user(rendio)
    with pytest.raises(errors.InsufficientCredits) as refused:
        rendio.add_credits(
            user_id=user, amount=-99, reason="admin_adjustment", idempotency_key=uuid4()
        )
    error = refused.value
    assert isinstance(error, errors.PaymentRequired)
    assert (error.slug, error.status, error.sqlstate) == ("insufficient_credits", 402, "PT402")
    assert error.detail == {"required": 99, "available": GRANT}
    assert error.hint
    assert not error.is_retryable
    assert isinstance(error.__cause__, psycopg.Error)
    assert error.__cause__.sqlstate == "PT402"


def test_the_database_judges_what_is_null(rendio: Any) -> None:
    for call in (
        lambda: rendio.add_credits(user_id=None, amount=1, reason="x", idempotency_key=uuid4()),
        lambda: rendio.get_video_jobs(user_id=uuid4(), limit=None),
        lambda: rendio.generate_video_atomic(**video(new_user(rendio), settings=[1])),
    ):
        with pytest.raises(errors.InvalidArgument) as refused:
            call()
        assert refused.value.detail["argument"] in ("p_user_id", "p_limit", "p_settings")


def test_a_value_not_of_its_type_is_psycopgs_error(rendio: Any) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        rendio.get_user_credits(user_id="not a uuid")
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        rendio.get_video_jobs(user_id=uuid4(), limit=2**40)


def test_a_conflict_says_that_a_repeat_helps(side: Side) -> None:
    outside = side.client()
    user = new_user(outside)
    conn = side.connection()
    rendio = side.client(conn)
    with conn.transaction(force_rollback=True):
        conn.execute("set transaction isolation level repeatable read")
        assert balance(rendio, user) == GRANT
        outside.generate_video_atomic(**video(user))
        with pytest.raises(errors.RetryableConflict) as refused:
            rendio.generate_video_atomic(**video(user))
    assert refused.value.is_retryable
    assert refused.value.sqlstate == "40001"
    with conn.transaction():
        rendio.generate_video_atomic(**video(user))


def test_a_database_without_the_function_is_told(
    empty_db: str, way: Callable[[str], str], is_async: bool
) -> None:
    with Side(is_async, way(empty_db)) as side, pytest.raises(errors.DatabaseOutdated) as refused:
        side.client().get_models()
    assert "public.get_models" in str(refused.value)
    assert "rendio apply" in str(refused.value)


# --- releases that differ -------------------------------------------------------------------------


def replace_function(conn: Any, body: str, arguments: str = "p_user_id uuid") -> None:
    """Write another get_user_credits, as another release might have it."""
    conn.execute(
        f"""
        drop function public.get_user_credits(uuid);
        create function public.get_user_credits({arguments}) returns jsonb language plpgsql
        as $$ begin {body} end $$;
        """
    )


CREDITS = {
    "credits_remaining": 7,
    "credits_total": 8,
    "tier": "free",
    "is_guest": False,
    "credits_owed": 0,
    "is_blocked": False,
}


def test_a_newer_database_may_know_more(own_side: Side, db: str, connect: Any) -> None:
    newer = json.dumps(CREDITS | {"loyalty": {"stars": 5}})
    replace_function(
        connect(db, role="rendio_owner"),
        f"return '{newer}'::jsonb;",
        "p_user_id uuid, p_new text default 'x'",
    )
    found = own_side.client().get_user_credits(user_id=uuid4())
    assert found == results.GetUserCreditsResult(**CREDITS)


def test_an_older_database_is_told(own_side: Side, db: str, connect: Any) -> None:
    older = json.dumps({key: CREDITS[key] for key in ("credits_remaining", "is_guest")})
    replace_function(connect(db, role="rendio_owner"), f"return '{older}'::jsonb;")
    with pytest.raises(errors.DatabaseOutdated, match="credits_total") as refused:
        own_side.client().get_user_credits(user_id=uuid4())
    assert "rendio apply" in str(refused.value)


@pytest.mark.parametrize(
    ("sqlstate", "slug", "kind"),
    [
        ("PT409", "brand_new", errors.Conflict),
        ("PT418", "teapot", errors.RendioError),
        ("PT403", "user_not_found", errors.Forbidden),  # a known slug that moved
    ],
)
def test_an_unknown_refusal_is_its_statuss(
    own_side: Side, db: str, connect: Any, sqlstate: str, slug: str, kind: type[errors.RendioError]
) -> None:
    replace_function(
        connect(db, role="rendio_owner"),
        f"raise sqlstate '{sqlstate}' using message = '{slug}', detail = 'not json';",
    )
    with pytest.raises(kind) as refused:
        own_side.client().get_user_credits(user_id=uuid4())
    assert type(refused.value) is kind
    assert (refused.value.slug, refused.value.sqlstate) == (slug, sqlstate)
    assert refused.value.status == int(sqlstate[2:])
    assert refused.value.detail == {"detail": "not json"}


def test_a_defect_inside_a_function_is_not_dressed_up(
    own_side: Side, db: str, connect: Any
) -> None:
    owner = connect(db, role="rendio_owner")
    for broken, kind in (
        ("perform no_such_function();", psycopg.errors.UndefinedFunction),
        ("raise insufficient_privilege;", psycopg.errors.InsufficientPrivilege),
    ):
        replace_function(owner, broken)
        with pytest.raises(kind):
            own_side.client().get_user_credits(user_id=uuid4())


# --- against the catalogue ------------------------------------------------------------------------

ANNOTATIONS = {
    "bigint": int,
    "boolean": bool,
    "integer": int,
    "interval": timedelta,
    "jsonb": dict[str, Any],
    "text": str,
    "timestamp with time zone": datetime,
    "uuid": UUID,
}


def functions(conn: Any) -> list[tuple[str, list[tuple[str, str, str | None]]]]:
    """Every RPC with its arguments: name, type, default. A hook, which returns nothing, is none."""
    found: list[tuple[str, list[tuple[str, str, str | None]]]] = conn.execute(
        """
        select p.proname, array(
            select array[p.proargnames[n], format_type(p.proargtypes[n - 1], null),
                pg_get_function_arg_default(p.oid, n)]
            from generate_series(1, p.pronargs) as n
        )
        from pg_proc as p
        where p.pronamespace = 'public'::regnamespace and p.proowner = 'rendio_owner'::regrole
            and p.prorettype <> 'void'::regtype
        """
    ).fetchall()
    return found


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_every_function_has_its_method_and_no_other(kind: type, conn: Any) -> None:
    found = functions(conn)
    base = kind.__mro__[1]
    methods = {name for name, value in vars(base).items() if inspect.isfunction(value)}
    assert methods - {"_call", "_call_set"} == {name for name, _ in found}
    assert not methods & (set(vars(kind)) - {"_call", "_call_set"}), "a method hides an RPC"
    for name, arguments in found:
        method = getattr(kind, name)
        assert inspect.iscoroutinefunction(method) is (kind is AsyncClient)
        assert method.__doc__
        parameters = list(inspect.signature(method, eval_str=True).parameters.values())[1:]
        names = [f"p_{p.name.rstrip('_')}" for p in parameters]  # from_: from is Python's
        assert names == [argument for argument, *_ in arguments]
        for parameter, (_, type_, default) in zip(parameters, arguments, strict=True):
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
            assert ANNOTATIONS[type_] in (parameter.annotation, *alternatives(parameter))
            check_default(parameter, default)


def alternatives(parameter: inspect.Parameter) -> tuple[Any, ...]:
    if isinstance(parameter.annotation, types.UnionType):
        return parameter.annotation.__args__
    return ()


def check_default(parameter: inspect.Parameter, default: str | None) -> None:
    if default is None:
        assert parameter.default is inspect.Parameter.empty
    elif default.startswith("NULL"):
        assert parameter.default is None
    else:
        assert repr(parameter.default) == f"default({default.split('::')[0]})"


def test_every_registered_error_has_its_class(conn: Any) -> None:
    registry = conn.execute("select sqlstate, slug from rendio.errors()").fetchall()
    for sqlstate, slug in registry:
        kind = errors.BY_SLUG[slug]
        assert kind.slug == slug
        assert kind.status == int(sqlstate[2:])
        assert issubclass(kind, errors.BY_STATUS[kind.status])
    assert set(errors.BY_SLUG) - {slug for _, slug in registry} == {"permission_denied"}
