-- Functions whose answers have every shape that PostgREST knows, for the tests of the HTTP face.
-- The tests' own database, so that they may be anybody's to call.
create table public.edge_calls (at timestamptz not null default now());
grant insert, select on public.edge_calls to anon, authenticated, service_role;

create function public.edge_void() returns void language sql
begin atomic
    insert into public.edge_calls default values;
end;

create function public.edge_text(p_text text, p_times integer default 1) returns text
language sql immutable
begin atomic
    select repeat(p_text, p_times);
end;

create function public.edge_null() returns integer language sql immutable
begin atomic
    select null::integer;
end;

create function public.edge_number() returns numeric language sql immutable
begin atomic
    select 1234567890123456789.01234567890123456789;
end;

create function public.edge_row() returns public.app_settings language sql stable
begin atomic
    select row('a', '{"b": 1}', 'c')::public.app_settings;
end;

create function public.edge_set(p_rows integer)
returns table (n integer, word text) language sql volatile
begin atomic
    insert into public.edge_calls default values;
    select i, 'zwölf' from generate_series(1, p_rows) as i;
end;

create function public.edge_numbers(p_rows integer) returns setof integer language sql immutable
begin atomic
    select generate_series(1, p_rows);
end;

create function public.edge_kinds(p_day date, p_tags text[], p_facts jsonb, p_flag boolean)
returns jsonb language sql stable
begin atomic
    select jsonb_build_object('day', p_day, 'tags', p_tags, 'facts', p_facts, 'flag', p_flag);
end;

create function public.edge_told() returns jsonb language sql stable
begin atomic
    select jsonb_build_object(
        'user', current_user,
        'role', current_setting('role'),
        'claims', current_setting('request.jwt.claims')::jsonb,
        'sub', auth.uid(),
        'method', current_setting('request.method'),
        'path', current_setting('request.path'),
        'headers', current_setting('request.headers')::jsonb,
        'cookies', current_setting('request.cookies')::jsonb,
        'timeout', current_setting('statement_timeout'),
        'search_path', current_setting('search_path'),
        'read_only', current_setting('transaction_read_only')
    );
end;

create function public.edge_respond(p_status text, p_headers text) returns jsonb
language plpgsql volatile as $$
begin
    perform set_config('response.status', p_status, false);
    perform set_config('response.headers', p_headers, false);
    return '{"a": 1}';
end;
$$;

create function public.edge_raise(p_sqlstate text, p_message text default 'a message')
returns void language plpgsql volatile as $$
begin
    insert into public.edge_calls default values;
    raise exception using
        errcode = p_sqlstate, message = p_message, detail = '{"retry_after": 2.5}', hint = 'a hint';
end;
$$;

create function public.edge_raise_all() returns void language plpgsql volatile as $$
begin
    raise sqlstate 'PGRST' using
        message = '{"code": "X1", "message": "told", "details": "d", "hint": "h"}',
        detail = '{"status": 418, "headers": {"X-Tea": "green"}}';
end;
$$;

-- Succeeds at every third attempt: a sequence does not go back with its transaction.
create sequence public.edge_attempts;
grant usage on sequence public.edge_attempts to anon;

create function public.edge_conflict(p_sqlstate text) returns void
language plpgsql volatile as $$
begin
    if nextval('public.edge_attempts') % 3 <> 0 then
        raise exception using errcode = p_sqlstate, message = 'another was faster';
    end if;
end;
$$;

create function public.edge_sleep(p_seconds double precision) returns void
language sql volatile
begin atomic
    select pg_sleep(p_seconds);
end;

-- For the session, as no function should.
create function public.edge_pretend(p_sub text) returns void language plpgsql volatile as $$
begin
    perform set_config('request.jwt.claim.sub', p_sub, false);
    perform set_config('request.jwt.claim.role', 'service_role', false);
    perform set_config('request.jwt.claim', jsonb_build_object('sub', p_sub)::text, false);
    perform set_config('request.jwt.claims', jsonb_build_object('sub', p_sub)::text, false);
end;
$$;

create procedure public.edge_procedure() language sql
begin atomic
    insert into public.edge_calls default values;
end;

create function public.edge_trigger() returns trigger language plpgsql as $$
begin
    return new;
end;
$$;

create function public.edge_unnamed(integer) returns integer language sql immutable
begin atomic
    select $1;
end;

create function public.edge_variadic(variadic p_all integer[]) returns integer
language sql immutable
begin atomic
    select cardinality(p_all);
end;

create aggregate public.edge_aggregate(integer) (sfunc = int4larger, stype = integer);

create function public.edge_twin(p_a integer) returns integer language sql immutable
begin atomic
    select 1;
end;

create function public.edge_twin(p_a text) returns integer language sql immutable
begin atomic
    select 2;
end;

create function public.edge_pre_request() returns void language plpgsql volatile as $$
begin
    if current_setting('request.headers')::jsonb ? 'x-barred' then
        raise sqlstate 'PT418' using message = 'barred';
    end if;
end;
$$;
