--! as caller
-- Roles, schemas, the migration ledger and the clock. Everything else stands on this file.
--
-- Locks: none on existing tables. Duration: milliseconds.
-- Cluster-wide: the roles anon, authenticated, service_role and rendio_owner are created when
-- they do not exist. On Supabase the first three exist and are left as they are.

do $$
begin
    if to_regrole('anon') is null then
        create role anon nologin noinherit;
    end if;
    if to_regrole('authenticated') is null then
        create role authenticated nologin noinherit;
    end if;
    if to_regrole('service_role') is null then
        create role service_role nologin noinherit;
    end if;
    -- Owns every table and function. Not a superuser: a hole in a definer function is then
    -- no hole in the server.
    if to_regrole('rendio_owner') is null then
        create role rendio_owner nologin;
    end if;
    -- The migrating login acts as the owner (to apply files, to run the cron jobs) and as the
    -- service (to call what only the service may call).
    if not pg_catalog.pg_has_role(current_user, 'rendio_owner', 'usage') then
        execute format('grant rendio_owner to %I', current_user);
    end if;
    if not pg_catalog.pg_has_role(current_user, 'service_role', 'usage') then
        execute format('grant service_role to %I', current_user);
    end if;
end;
$$;

create schema rendio authorization rendio_owner;

comment on schema rendio is
$$Engine room of rendio: migration ledger, helpers, partitions. No client role may use it.$$;

grant usage, create on schema public to rendio_owner;
grant usage on schema public to anon, authenticated, service_role;

-- `in schema` would be a no-op here: only the global form takes the built-in grant away.
alter default privileges for role rendio_owner revoke execute on functions from public;

-- Supabase has the schema auth; a plain server gets the three functions that its clients use.
do $$
begin
    if to_regnamespace('auth') is null then
        create schema auth;
        comment on schema auth is 'Who is calling, read from the request''s verified claims.';
        grant usage on schema auth to anon, authenticated, service_role, rendio_owner;
    end if;

    if to_regprocedure('auth.jwt()') is null then
        create function auth.jwt()
        returns jsonb
        language sql
        stable
        set search_path = pg_catalog, pg_temp
        as $body$
            select coalesce(
                nullif(current_setting('request.jwt.claim', true), ''),
                nullif(current_setting('request.jwt.claims', true), '')
            )::jsonb;
        $body$;
        comment on function auth.jwt() is 'The claims of the caller''s verified token, or null.';
        grant execute on function auth.jwt() to public;
    end if;

    if to_regprocedure('auth.uid()') is null then
        create function auth.uid()
        returns uuid
        language sql
        stable
        set search_path = pg_catalog, pg_temp
        as $body$
            select coalesce(
                nullif(current_setting('request.jwt.claim.sub', true), ''),
                nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
            )::uuid;
        $body$;
        comment on function auth.uid() is 'The caller''s user id (claim sub), or null.';
        grant execute on function auth.uid() to public;
    end if;

    if to_regprocedure('auth.role()') is null then
        create function auth.role()
        returns text
        language sql
        stable
        set search_path = pg_catalog, pg_temp
        as $body$
            select coalesce(
                nullif(current_setting('request.jwt.claim.role', true), ''),
                nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
            );
        $body$;
        comment on function auth.role() is
            'The role that the caller''s token claims. A claim only: it decides no access here.';
        grant execute on function auth.role() to public;
    end if;
end;
$$;

set local role rendio_owner;

create table rendio.migrations (
    path text primary key,
    checksum text not null,
    state text not null
        constraint migrations_state_check
        check (state in ('running', 'applied', 'recorded', 'skipped')),
    defines text[] not null default '{}',
    fingerprint text,
    release text not null,
    applied_by name not null default session_user,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz
);

alter table rendio.migrations enable row level security;

comment on table rendio.migrations is
$$What `rendio apply` has applied: one row per file, versioned and repeatable alike.$$;
comment on column rendio.migrations.path is 'File, relative to the SQL folders'' parent.';
comment on column rendio.migrations.checksum is 'SHA-256 of the file, line ends as \n, in hex.';
comment on column rendio.migrations.state is
$$running: begun outside a transaction and not ended; applied; recorded: kept for when the
server can schedule the cron job, or has the table that the policies are for; skipped: a right was
missing, tried again by the next apply.$$;
comment on column rendio.migrations.defines is 'Identities of the objects that the file wrote.';
comment on column rendio.migrations.fingerprint is
    'Hash of those objects in the catalogue right after; a later difference is drift.';

-- The one source of time. Tests replace it inside their own transaction; nothing else may
-- read the server's clock. Wall time, not transaction time: a ledger entry is dated when it is
-- written, and an expired key is expired however long the transaction has been open.
create function rendio.clock()
returns timestamptz
language sql
volatile
parallel safe
begin atomic
    select clock_timestamp();
end;

comment on function rendio.clock() is
$$Now. Every rule about time asks this function, so that a test can move time.$$;

-- A table default needs it, so it lives with the tables. The first 48 bits are milliseconds:
-- keys made later sort later, and an index on (user_id, job_id) is "my jobs, newest first".
create function rendio.uuid_v7(p_at timestamptz)
returns uuid
language sql
volatile
parallel safe
begin atomic
    select overlay(
        gen_random_uuid()::text,
        lpad(to_hex((date_part('epoch', p_at) * 1000)::bigint), 12, '0') || '7', 1, 15
    )::uuid;
end;

comment on function rendio.uuid_v7(timestamptz) is
$$A new UUID version 7 (RFC 9562) for the given time.$$;

revoke execute on function rendio.clock() from public, anon, authenticated;
revoke execute on function rendio.uuid_v7(timestamptz) from public, anon, authenticated;

reset role;
