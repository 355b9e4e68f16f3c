-- Who may do what, as an exact list: a new grant is a new line here.
begin;
select plan(15);

create temp view api as
select oid, rolname as role from pg_roles
where rolname in ('anon', 'authenticated', 'service_role')
union all
select 0, 'public';
grant select on api to public;

-- The engine room is closed.
select is_empty(
    $$ select a.grantee, a.privilege_type from pg_namespace as n
       cross join lateral aclexplode(n.nspacl) as a
       where n.nspname = 'rendio' and a.grantee in (select oid from api) $$,
    'no API role holds anything on schema rendio'
);
select is_empty(
    $$ select role, has_schema_privilege(role, 'rendio', 'usage') from api
       where role <> 'public'
           and (has_schema_privilege(role, 'rendio', 'usage')
               or has_schema_privilege(role, 'rendio', 'create')) $$,
    'not by membership either'
);
select is_empty(
    $$ select c.relname, api.role, a.privilege_type
       from pg_class as c
       cross join lateral aclexplode(c.relacl) as a
       join api on api.oid = a.grantee
       where c.relnamespace = 'rendio'::regnamespace $$,
    'nor on any table or partition in it'
);

-- Tables, whole.
select set_eq(
    $$ select api.role::text, c.relname::text, a.privilege_type
       from pg_class as c
       cross join lateral aclexplode(c.relacl) as a
       join api on api.oid = a.grantee
       where c.relnamespace = 'public'::regnamespace
           and c.relowner = 'rendio_owner'::regrole $$,
    $$ values
       ('authenticated', 'quota_log', 'SELECT'), ('authenticated', 'users', 'SELECT'),
       ('service_role', 'account_identities', 'SELECT'),
       ('service_role', 'app_settings', 'SELECT'),
       ('service_role', 'consumption_consents', 'SELECT'),
       ('service_role', 'rate_limit_rules', 'SELECT'),
       ('service_role', 'purchase_revocations', 'SELECT'),
       ('service_role', 'store_notifications', 'SELECT'),
       ('service_role', 'credit_draws', 'SELECT'),
       ('service_role', 'credit_grants', 'SELECT'),
       ('service_role', 'iap_products', 'INSERT'), ('service_role', 'iap_products', 'SELECT'),
       ('service_role', 'iap_products', 'UPDATE'), ('service_role', 'iap_transactions', 'SELECT'),
       ('service_role', 'models', 'INSERT'), ('service_role', 'models', 'SELECT'),
       ('service_role', 'models', 'UPDATE'), ('service_role', 'provider_jobs', 'SELECT'),
       ('service_role', 'quota_log', 'SELECT'), ('service_role', 'users', 'SELECT'),
       ('service_role', 'video_jobs', 'SELECT'), ('service_role', 'video_jobs_archive', 'SELECT'),
       ('service_role', 'webhook_events', 'SELECT') $$,
    'these tables are granted whole, to these roles, for these verbs'
);
-- Tables, by column.
select set_eq(
    $$ select api.role::text, c.relname::text, a.privilege_type,
           string_agg(t.attname, ' ' order by t.attname)
       from pg_class as c
       join pg_attribute as t on t.attrelid = c.oid
       cross join lateral aclexplode(t.attacl) as a
       join api on api.oid = a.grantee
       where c.relnamespace in ('public'::regnamespace, 'rendio'::regnamespace)
       group by api.role, c.relname, a.privilege_type $$,
    $$ values
       ('anon', 'models', 'SELECT', 'category cost_per_generation created_at description id '
        'is_available is_featured name provider thumbnail_url'),
       ('authenticated', 'models', 'SELECT', 'category cost_per_generation created_at description '
        'id is_available is_featured name provider thumbnail_url'),
       ('authenticated', 'users', 'UPDATE', 'language theme_preference'),
       ('authenticated', 'video_jobs', 'SELECT', 'completed_at created_at credits_refunded '
        'credits_used error_code error_message job_id model_id prompt settings status '
        'thumbnail_url user_id video_url') $$,
    'and these by column'
);

-- Functions.
select is_empty(
    $$ select p.oid::regprocedure
       from pg_proc as p
       where p.pronamespace in ('public'::regnamespace, 'rendio'::regnamespace)
           and p.proowner = 'rendio_owner'::regrole
           and (p.proacl is null
               or exists (select from aclexplode(p.proacl) as a where a.grantee = 0)) $$,
    'no function is anybody''s to call'
);
select set_eq(
    $$ select p.proname::text, string_agg(api.role, ' ' order by api.role)
       from pg_proc as p
       cross join lateral aclexplode(p.proacl) as a
       join api on api.oid = a.grantee
       where p.proowner = 'rendio_owner'::regrole
       group by p.proname $$,
    $$ values
       ('get_models', 'anon authenticated service_role'),
       ('check_request', 'anon authenticated service_role'),
       ('balance_at', 'authenticated service_role'),
       ('cancel_video_job', 'authenticated service_role'),
       ('delete_account', 'authenticated service_role'),
       ('delete_video_job', 'authenticated service_role'),
       ('generate_video_atomic', 'authenticated service_role'),
       ('get_credit_history', 'authenticated service_role'),
       ('get_credit_lots', 'authenticated service_role'),
       ('get_credit_statement', 'authenticated service_role'),
       ('get_user_credits', 'authenticated service_role'),
       ('quote_generation', 'authenticated service_role'),
       ('set_consumption_consent', 'authenticated service_role'),
       ('get_video_jobs', 'authenticated service_role'),
       ('get_video_status', 'authenticated service_role'),
       ('answer_consumption_request', 'service_role'), ('check_rate_limit', 'service_role'),
       ('apply_store_notification', 'service_role'),
       ('get_consumption_requests', 'service_role'), ('waive_credit_debt', 'service_role'),
       ('add_credits', 'service_role'), ('claim_video_jobs', 'service_role'),
       ('complete_video_job', 'service_role'), ('device_check', 'service_role'),
       ('fail_video_job', 'service_role'), ('link_apple_account', 'service_role'),
       ('ledger_digest', 'service_role'), ('reconcile_credits', 'service_role'),
       ('record_iap_purchase', 'service_role'), ('refund_video_job', 'service_role'),
       ('start_video_job', 'service_role'),
       -- The default of models.created_at; without usage on the schema nobody calls it by name.
       ('clock', 'service_role') $$,
    'these functions are for these roles, and no others'
);
select is_empty(
    $$ select api.role, p.oid::regprocedure
       from api join pg_proc as p on p.pronamespace = 'rendio'::regnamespace
       where api.role <> 'public' and p.proname <> 'clock'
           and has_function_privilege(api.role, p.oid, 'execute') $$,
    'helpers are nobody''s, by membership either'
);

-- The ledger is append-only, for its owner too.
select is_empty(
    $$ select c.oid::regclass, v.verb
       from pg_class as c
       cross join unnest(array['update', 'delete', 'truncate']) as v (verb)
       where (c.oid = 'public.quota_log'::regclass
               or c.oid in (select inhrelid from pg_inherits
                   where inhparent = 'public.quota_log'::regclass))
           and has_table_privilege('rendio_owner', c.oid, v.verb) $$,
    'nobody changes, deletes or empties the ledger or a month of it'
);
select is_empty(
    $$ select c.oid::regclass, t.attname
       from pg_class as c join pg_attribute as t on t.attrelid = c.oid and t.attnum > 0
       where (c.oid = 'public.quota_log'::regclass
               or c.oid in (select inhrelid from pg_inherits
                   where inhparent = 'public.quota_log'::regclass))
           and has_column_privilege('rendio_owner', c.oid, t.attnum, 'update') $$,
    'not a column of it either'
);

-- What comes later is closed as well: functions are not born open.
set local role rendio_owner;
create function rendio.story() returns integer language sql immutable as 'select 1';
create table rendio.story_table (id integer);
reset role;
select ok(
    not exists (
        select from pg_proc as p cross join lateral aclexplode(p.proacl) as a
        where p.oid = 'rendio.story()'::regprocedure and a.grantee in (select oid from api)
    ) and (select proacl is not null from pg_proc where oid = 'rendio.story()'::regprocedure),
    'a new function of the owner''s is closed from the start'
);
select is(
    (select relacl from pg_class where oid = 'rendio.story_table'::regclass), null,
    'and no default privilege opens a new table'
);

-- The owner of all this is no superuser and passes no row security but its own tables'.
select results_eq(
    $$ select rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolcreatedb from pg_roles
       where rolname = 'rendio_owner' $$,
    $$ values (false, false, false, false, false) $$, 'rendio_owner has no power of its own'
);
select is_empty(
    $$ select m.roleid::regrole from pg_auth_members as m
       where m.member = 'rendio_owner'::regrole $$,
    'and borrows none'
);
select is_empty(
    $$ select role from api
       where role <> 'public' and pg_has_role(role, 'rendio_owner', 'member') $$,
    'no API role can become it'
);

select * from finish();
rollback;
