-- Keys: every user's rows can live together on one shard, and every index earns its keep.
begin;
select plan(12);

-- Tables, by what their rows belong to. A new table is a new line.
create temp table kinds (name text, kind text);
insert into kinds values
('users', 'user'), ('video_jobs', 'user'), ('quota_log', 'user'), ('credit_grants', 'user'),
('credit_draws', 'user'), ('idempotency_log', 'user'), ('video_jobs_archive', 'user'),
('purchase_revocations', 'user'), ('consumption_consents', 'user'),
-- Unique across users, so keyed by the thing claimed alone, and without foreign keys.
('account_identities', 'claim'), ('provider_jobs', 'claim'), ('iap_transactions', 'claim'),
('webhook_events', 'claim'), ('store_notifications', 'claim'), ('rate_limits', 'claim'),
-- The same on every shard.
('models', 'reference'), ('catalog_version', 'reference'), ('iap_products', 'reference'),
('app_settings', 'reference'), ('rate_limit_rules', 'reference');

select set_eq(
    $$ select c.relname::text from pg_class as c
       where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
           and c.relowner = 'rendio_owner'::regrole $$,
    $$ select name from kinds $$,
    'every table is a user''s, a claim or a reference table'
);

create temp view indexes as
select i.indexrelid::regclass::text as name, c.oid as table_oid, c.relname, i.indisunique,
    i.indisprimary, i.indisvalid, am.amname,
    coalesce(pg_get_expr(i.indpred, i.indrelid), '') as predicate,
    array(
        select coalesce(a.attname::text, pg_get_indexdef(i.indexrelid, k.n::integer, true))
        from unnest(i.indkey::smallint[]) with ordinality as k (attnum, n)
        left join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attnum and k.attnum > 0
        where k.n <= i.indnkeyatts
        order by k.n
    ) as keys
from pg_index as i
join pg_class as c on c.oid = i.indrelid
join pg_class as x on x.oid = i.indexrelid
join pg_am as am on am.oid = x.relam
where c.relnamespace in ('public'::regnamespace, 'rendio'::regnamespace)
    and pg_get_userbyid(c.relowner) = 'rendio_owner';

select is_empty(
    $$ select c.relname from pg_class as c
       where c.relnamespace in ('public'::regnamespace, 'rendio'::regnamespace)
           and c.relkind in ('r', 'p') and c.relowner = 'rendio_owner'::regrole
           and c.oid not in (select i.table_oid from indexes as i where i.indisprimary) $$,
    'every table has a primary key'
);
select is_empty(
    $$ select i.name, i.keys from indexes as i join kinds as k on k.name = i.relname
       where k.kind = 'user' and i.indisunique
           and i.keys[1] <> case i.relname when 'users' then 'id' else 'user_id' end $$,
    'every unique key of a user''s table begins with the user'
);
select is_empty(
    $$ select c.relname, a.attname from pg_class as c
       join kinds as k on k.name = c.relname
       join pg_attribute as a on a.attrelid = c.oid and a.attname = 'user_id'
       where c.relnamespace = 'public'::regnamespace and k.kind = 'user'
           and not (a.attnotnull and a.atttypid = 'uuid'::regtype) $$,
    'and no row is nobody''s'
);

-- Foreign keys, all of them. model_id has none: every generation would lock one hot catalogue row.
-- The ledger has none: each monthly attach would stop every writer of users.
select set_eq(
    $$ select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint
       where contype = 'f' and connamespace in ('public'::regnamespace, 'rendio'::regnamespace) $$,
    $$ values
       ('consumption_consents', 'FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE RESTRICT'),
       ('purchase_revocations', 'FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE RESTRICT'),
       ('credit_grants', 'FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE RESTRICT'),
       ('video_jobs', 'FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE RESTRICT') $$,
    'these foreign keys, which keep a user that has jobs or credits'
);
select is_empty(
    $$ select f.conname from pg_constraint as f
       where f.contype = 'f' and f.connamespace in ('public'::regnamespace, 'rendio'::regnamespace)
           and not exists (
               select from indexes as i
               where i.table_oid = f.conrelid and i.predicate = ''
                   and i.keys[1:cardinality(f.conkey)] @> array(
                       select a.attname::text from pg_attribute as a
                       where a.attrelid = f.conrelid and a.attnum = any (f.conkey))
           ) $$,
    'every foreign key has its index'
);
select matches(
    col_description('public.video_jobs'::regclass, a.attnum), 'No foreign key'::text,
    'and where one is left out on purpose the column says so'
)
from pg_attribute as a
where a.attrelid = 'public.video_jobs'::regclass and a.attname = 'model_id';

-- Indexes.
select is_empty(
    $$ select a.name, b.name from indexes as a
       join indexes as b on b.table_oid = a.table_oid and b.name <> a.name
           and b.amname = a.amname and b.predicate = a.predicate
           and cardinality(a.keys) <= cardinality(b.keys)
           and a.keys @> b.keys[1:cardinality(a.keys)]
           and b.keys[1:cardinality(a.keys)] @> a.keys
       where not a.indisunique or cardinality(a.keys) = cardinality(b.keys) $$,
    'no index is the beginning of another, unique ones included'
);
select is_empty($$ select name from indexes where not indisvalid $$, 'and none is invalid');
select is_empty(
    $$ select i.name from indexes as i
       where not i.indisprimary and i.name !~ ('(^|\.)' || i.relname || '_.*_idx$') $$,
    'each is named after its table and columns'
);
-- What changes with every debit is in no index, so that debits stay heap-only.
select set_eq(
    $$ select keys from indexes where relname = 'users' $$,
    $$ values ('{id}'::text[]), ('{merged_into,next_expiry_at}') $$,
    'accounts are indexed by their id, and by what no debit changes'
);

-- Triggers: none on tables of users' data; a shard could not run them.
select set_eq(
    $$ select tgrelid::regclass::text, tgname::text from pg_trigger as t
       join pg_class as c on c.oid = t.tgrelid
       where not t.tgisinternal
           and c.relnamespace in ('public'::regnamespace, 'rendio'::regnamespace) $$,
    $$ values ('models', 'models_touch_catalog') $$,
    'the catalogue''s tag is the only trigger''s work'
);

select * from finish();
rollback;
