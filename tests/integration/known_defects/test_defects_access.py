"""Who may do what: clients that give themselves credits, read and delete what isn't theirs."""

from uuid import uuid4

from worlds import ALICE, BOB, COST, GRANT, MODEL, Ours, Plan, call, generate, refused, value


class TestDefect2_1_UserWritesTheirBalance:
    """The update policy of users has no column list."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        plan.as_user(ALICE).execute("update public.users set credits_remaining = 999999")
        assert plan.credits(ALICE) == 999999

    def test_refused_by_ours(self, ours: Ours) -> None:
        alice = ours.as_user(ALICE)
        for assignment in ("credits_remaining = 999999", "tier = 'premium'", "is_guest = false"):
            with refused("42501"):
                alice.execute(f"update public.users set {assignment}")
        alice.execute("update public.users set language = 'tr', theme_preference = 'dark'")
        assert ours.credits(ALICE) == GRANT
        assert ours.value("select language from public.users where id = %s", ALICE) == "tr"
        assert ours.value("select language from public.users where id = %s", BOB) == "en"


class TestDefect2_2_AnybodySpendsAnybodysCredits:
    """The definer function believes its user argument, and everybody may execute it."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        generate(plan.as_anon(), BOB)
        generate(plan.as_user(ALICE), BOB)
        assert plan.credits(BOB) == GRANT - 2 * COST

    def test_refused_by_ours(self, ours: Ours) -> None:
        with refused("42501"):
            generate(ours.as_anon(), BOB)
        with refused("PT403", "not_your_account"):
            generate(ours.as_user(ALICE), BOB)
        assert ours.credits(BOB) == GRANT
        assert ours.reasons(BOB) == ["initial_grant"]


class TestDefect2_3_FreeJobByInsert:
    """The insert policy of video_jobs lets a client write any price, status and address."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        alice = plan.as_user(ALICE)
        alice.execute(
            "insert into public.video_jobs (user_id, model_id, prompt, credits_used, video_url)"
            " values (%s, %s, 'free', 0, 'https://elsewhere/bobs.mp4')",
            [ALICE, MODEL],
        )
        assert value(alice, "select video_url from public.video_jobs") is not None
        assert plan.credits(ALICE) == GRANT

    def test_refused_by_ours(self, ours: Ours) -> None:
        with refused("42501"):
            ours.as_user(ALICE).execute(
                "insert into public.video_jobs (user_id, job_id, model_id, created_at,"
                " times_out_at, provider, prompt, credits_used)"
                " values (%s, %s, %s, now(), now(), 'fal', 'free', 1)",
                [ALICE, uuid4(), MODEL],
            )
        assert ours.value("select count(*) from public.video_jobs") == 0


class TestDefect2_4_KeysOpenToEverybody:
    """idempotency_log has no row security."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        generate(plan.as_service(), BOB)
        alice = plan.as_user(ALICE)
        assert value(alice, "select response_data ->> 'job_id' from public.idempotency_log")
        assert alice.execute("delete from public.idempotency_log").rowcount == 1

    def test_refused_by_ours(self, ours: Ours) -> None:
        generate(ours.as_user(BOB), BOB)
        for attack in (
            "select count(*) from public.idempotency_log",
            "delete from public.idempotency_log",
            "truncate public.idempotency_log",
        ):
            for stranger in (ours.as_user(ALICE), ours.as_user(BOB), ours.as_anon()):
                with refused("42501"):
                    stranger.execute(attack)
        assert ours.value("select count(*) from public.idempotency_log where user_id = %s", BOB)


class TestDefect2_5_KeyOfAnotherUser:
    """The key is global: whoever sends another's key receives the other's answer."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        key = uuid4()
        first = generate(plan.as_user(ALICE), ALICE, key)
        assert generate(plan.as_user(BOB), BOB, key)["job_id"] == first["job_id"]
        assert plan.credits(BOB) == GRANT

    def test_refused_by_ours(self, ours: Ours) -> None:
        key = uuid4()
        first = generate(ours.as_user(ALICE), ALICE, key)
        second = generate(ours.as_user(BOB), BOB, key)
        assert second["job_id"] != first["job_id"]
        assert not second["replayed"]
        assert ours.credits(BOB) == GRANT - COST


class TestDefect2_6_TemporaryTableIsTheCatalogue:
    """The definer function pins no search_path, so a temporary table stands before the real one."""

    ATTACK = (
        f"create temporary table models as"
        f" select '{MODEL}'::uuid as id, 0 as cost_per_generation, true as is_available"
    )

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        alice = plan.as_user(ALICE)
        alice.execute(self.ATTACK)
        alice.execute("grant select on pg_temp.models to public")
        assert generate(alice, ALICE)["credits_used"] == 0
        assert plan.credits(ALICE) == GRANT

    def test_refused_by_ours(self, ours: Ours) -> None:
        # The worst case: a database whose owner lets everybody make temporary tables.
        dbname = ours.owner.info.dbname
        ours.owner.execute(f'grant temporary on database "{dbname}" to authenticated')
        alice = ours.as_user(ALICE)
        alice.execute(self.ATTACK)
        for table in ("users", "quota_log", "video_jobs", "idempotency_log"):
            alice.execute(f"create temporary table {table} (id uuid)")
        # Types are found in the temporary schema even when it is not named in the path.
        for name in ("jsonb", "uuid", "text", "timestamptz", "interval"):
            alice.execute(f"create domain pg_temp.{name} as pg_catalog.{name} check (false)")
        alice.execute("set search_path = pg_temp, public")
        assert generate(alice, ALICE)["credits_used"] == COST
        assert ours.credits(ALICE) == GRANT - COST


class TestDefect2_21_TruncateByAnon:
    """Row security does not cover truncate, and the default grants include it."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        plan.as_anon().execute("truncate public.quota_log")
        assert plan.reasons(ALICE) == []

    def test_refused_by_ours(self, ours: Ours) -> None:
        tables = [
            name
            for (name,) in ours.owner.execute(
                "select relation.oid::regclass::text from pg_catalog.pg_class as relation"
                " where relation.relkind in ('r', 'p') and relation.relnamespace in"
                " ('public'::regnamespace, 'rendio'::regnamespace)"
            )
        ]
        assert {"quota_log", "users", "rendio.quota_log_default"} <= set(tables)
        for table in tables:
            for client in (ours.as_anon(), ours.as_user(ALICE), ours.service):
                with refused("42501"):
                    client.execute(f"truncate {table} cascade")
        assert ours.reasons(ALICE) == ["initial_grant"]


class TestDefect2_22_GrantClaimedAgain:
    """What says that the first credits were given is a column of the user's own row."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        plan.as_user(ALICE).execute(
            "update public.users set initial_grant_claimed = false, device_id = 'a new phone'"
        )
        claimed = plan.value("select initial_grant_claimed from public.users where id = %s", ALICE)
        assert claimed is False

    def test_refused_by_ours(self, ours: Ours) -> None:
        alice = ours.as_user(ALICE)
        for attack in (
            "update public.account_identities set initial_grant_claimed = false",
            "delete from public.account_identities",
            "insert into public.account_identities values ('device', 'a new phone', %s)",
        ):
            with refused("42501"):
                alice.execute(attack, [ALICE] if "%s" in attack else None)
        with refused("42501"):
            call(alice, "device_check", ALICE, "a new phone")

        # The app is installed again: a new anonymous user on the same device.
        newcomer = uuid4()
        again = ours.call("device_check", newcomer, "alice's phone")
        assert again["user_id"] == str(newcomer)
        assert again["credits_remaining"] == 0
        # And the same user on another device.
        assert ours.call("device_check", ALICE, "a new phone")["credits_remaining"] == GRANT
        assert ours.reasons(ALICE) == ["initial_grant"]


class TestDefect2_24_TwoUsersOfOneEmail:
    """Two users have the same address, or one address in two spellings: who is meant by it?"""

    ADDRESSES = ("ada@example.com", "ada@example.com", "Ada@Example.com")

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        for address in self.ADDRESSES:
            plan.owner.execute("insert into public.users (email) values (%s)", [address])
        found = "select count(*) from public.users where email = %s"
        assert plan.value(found, "ada@example.com") == 2
        assert plan.value(found, "Ada@Example.com") == 1

    def test_refused_by_ours(self, ours: Ours) -> None:
        """An address is what Apple told with an id, and names nobody."""
        newcomer = uuid4()
        ours.call("device_check", newcomer, "a third phone")
        for user, address in zip((ALICE, BOB, newcomer), self.ADDRESSES, strict=True):
            linked = ours.call("link_apple_account", user, f"sub of {user}", address)
            assert (linked["user_id"], linked["merged_from"]) == (str(user), None)
        # With another address, or Bob's, it is still Alice who comes, and nobody else's credits.
        for address in ("new@example.com", self.ADDRESSES[2], None):
            linked = ours.call("link_apple_account", ALICE, f"sub of {ALICE}", address)
            assert (linked["user_id"], linked["credits_remaining"]) == (str(ALICE), GRANT)
        claim = (
            "insert into public.account_identities (kind, identifier, user_id) values (%s, %s, %s)"
        )
        with refused("23505"):
            ours.owner.execute(claim, ["apple", f"sub of {ALICE}", BOB])
        with refused("23514"):
            ours.owner.execute(claim, ["email", self.ADDRESSES[0], BOB])
        with refused("42703"):
            ours.owner.execute("select email from public.users")
