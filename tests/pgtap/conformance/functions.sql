-- How every function is made.
begin;
select plan(183);

create temp view ours as
select p.oid, p.oid::regprocedure::text as name, n.nspname, p.proname, p.prosecdef, p.proconfig,
    p.proowner, p.prosqlbody is not null as is_atomic, l.lanname, p.provolatile, p.prorettype,
    p.proparallel,
    coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as body
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
join pg_language as l on l.oid = p.prolang
where n.nspname in ('public', 'rendio')
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    );

select is_empty(
    $$ select name from ours where proowner <> 'rendio_owner'::regrole $$,
    'every function belongs to rendio_owner'
);
select is_empty(
    $$ select nspname, proname from ours group by 1, 2 having count(*) > 1 $$,
    'a name is one function'
);
select is_empty(
    $$ select name from ours where obj_description(oid, 'pg_proc') is null $$,
    'every function has a comment'
);
select is_empty(
    $$ select name from ours
       where split_part(obj_description(oid, 'pg_proc'), E'\n\n', 1) !~ '\.$' $$,
    'which begins with a sentence'
);

-- Names are bound to what they were written for. Last, pg_temp: left out, it would be searched
-- first for types, and anybody's temporary domain would run as the owner.
select is_empty(
    $$ select name from ours
       where not is_atomic
           and not coalesce('search_path=pg_catalog, pg_temp' = any (proconfig), false) $$,
    'every function pins its path, or was bound when it was made'
);
select is_empty(
    $$ select name from ours
       where prosecdef
           and not coalesce('search_path=pg_catalog, pg_temp' = any (proconfig), false) $$,
    'a definer function always pins it'
);
select is_empty(
    $$ select name from ours
       where nspname = 'public' and (not prosecdef or lanname <> 'plpgsql') $$,
    'an RPC runs with the owner''s right'
);
select set_eq(
    $$ select proname::text from ours where nspname = 'rendio' and prosecdef $$,
    $$ values ('archive_jobs'), ('cleanup_idempotency_log'), ('cleanup_rate_limits'),
       ('ensure_partitions'), ('health'),
       ('purge_webhook_events'), ('settle_expired_credits'), ('sweep_stuck_jobs'),
       ('touch_catalog') $$,
    'a helper does only where cron, apply or a trigger calls it'
);

-- The caller is checked before anything else; the hot call asks in place whether it is the service.
select is_empty(
    $$ select name from ours
       where nspname = 'public' and proname not in ('get_models', 'check_request')
           and body !~ E'\nbegin\\s+(--[^\n]*\n\\s*)*'
               '(if p_user_id is null or not rendio\\.caller_is_service\\(\\) then\\s+)?'
               'perform rendio\\.require_(user|service)\\(' $$,
    'an RPC checks its caller before anything else; get_models and the hook are for anyone'
);
select is_empty(
    $$ select o.name from ours as o
       where nspname = 'public' and proname not in ('get_models', 'check_request')
           and (body ~ 'rendio\.require_user\(' and
               (select p.proargnames[1] from pg_proc as p where p.oid = o.oid) <> 'p_user_id') $$,
    'and what is a user''s names its user first'
);
-- Who may call it and what it checks belong together.
select is_empty(
    $$ select name from ours
       where nspname = 'public' and proname not in ('get_models', 'check_request')
           and (body ~ 'rendio\.require_user\(')
               <> has_function_privilege('authenticated', oid, 'execute') $$,
    'clients may call what checks the user, and nothing that is the service''s'
);
select is_empty(
    $$ select name from ours where body ~ 'current_setting\(''role''' and proparallel = 's' $$,
    'what reads the role stays off parallel workers'
);

-- Money is written in few places: every other function goes through post_entry.
select set_eq(
    $$ select proname::text from ours
       where body ~* '(update|delete from)\s+public\.users'
           '|(insert into|update)\s+public\.quota_log' $$,
    array['post_entry', 'generate_video_atomic', 'fold_lots', 'settle_expiry', 'upgrade_guest',
        'merge_guest', 'forget_person', 'set_blocked'],
    'the users'' rows are written for credits, for the lots, and where an account changes hands or is blocked'
);
select set_eq(
    $$ select proname::text from ours
       where body ~* 'credits_remaining\s*=\s*u\.|(insert into|update)\s+public\.quota_log' $$,
    array['post_entry', 'generate_video_atomic'],
    'but balances and ledger by the first two alone'
);
select set_eq(
    $$ select proname::text from ours
       where body ~* '(insert into|update|delete from)\s+public\.credit_grants' $$,
    array['open_lot', 'fold_lots', 'move_credits'],
    'lots are opened for a grant, by the fold, or as they move to another account'
);

-- Time is asked of the clock alone.
create temp view clockless as
select name, proname, body from ours where name <> 'rendio.clock()';
select is_empty(
    $$ select name from clockless
       where regexp_replace(body, '--[^\n]*', '', 'g') ~*
           '\m(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\('
           '|\mcurrent_(date|time|timestamp)\M|\mlocaltime(stamp)?\M'
           '|''(now|today|tomorrow|yesterday)''' $$,
    'no function but rendio.clock() reads the server''s clock'
);
select set_eq(
    $$ select name from ours where pg_get_function_arguments(oid) ~* 'now\(\)|current_|clock_' $$,
    array['record_iap_purchase(uuid,text,text,text,text,timestamp with time zone,uuid,integer)'],
    'and no default of an argument, but the one that a store''s time has'
);
select set_eq(
    $$ select d.adrelid::regclass::text || '.' || a.attname
       from pg_attrdef as d
       join pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
       join pg_class as c on c.oid = d.adrelid
       where c.relnamespace in ('public'::regnamespace, 'rendio'::regnamespace)
           and pg_get_expr(d.adbin, d.adrelid) ~* 'now\(\)|current_|clock_timestamp' $$,
    array['rendio.migrations.started_at'],
    'and no column''s, but the one that says when a file was applied'
);

-- Errors are let through, and SQL is not glued together.
select is_empty(
    $$ select name from ours where body ~* 'when\s+others' $$,
    'no function catches what it does not know'
);
select is_empty(
    $$ select name from ours
       where regexp_replace(body, '--[^\n]*', '', 'g') ~* '\mexecute\s+(?!format\()(?!'')' $$,
    'dynamic SQL is made by format(), or is a constant'
);
select is_empty(
    $$ select name from ours
       where body ~* 'execute\s+(format\s*\(\s*''[^'']*%s|''[^'']*''\s*\|\|)' $$,
    'and names in it are quoted'
);
-- A volatile function in `set` would be evaluated twice by a distributed plan.
select is_empty(
    $$ select name from ours
       where body ~* 'update\s+[\w.]+(\s+as\s+\w+)?\s+set\s[^;]*=\s*'
           '(rendio\.clock|gen_random_uuid|random)\(' $$,
    'no update evaluates the clock or chance'
);

-- Every body is valid, also those that apply created unchecked.
set local check_function_bodies = on;
select lives_ok(
    format($$ select %s(%s::oid) $$,
        case lanname when 'sql' then 'fmgr_sql_validator' else 'plpgsql_validator' end, oid),
    format('%s is valid', name)
)
from ours
where lanname in ('sql', 'plpgsql')
order by name;

select * from finish();
rollback;
