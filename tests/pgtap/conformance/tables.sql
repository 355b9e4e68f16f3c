-- Every table, type and schema: row security, owner, comments, and nothing beside them.
begin;
select plan(13);

create temp view ours as
select c.oid, n.nspname || '.' || c.relname as name, n.nspname, c.relname, c.relkind,
    c.relispartition, c.relrowsecurity, c.relforcerowsecurity, c.relowner
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname in ('public', 'rendio')
    and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    );

select is_empty(
    $$ select name from ours where relkind in ('r', 'p') and not relrowsecurity $$,
    'row security is on for every table and partition'
);
select is_empty(
    $$ select name from ours where relforcerowsecurity $$,
    'and forced on none: that would lock the functions'' owner out'
);
select is_empty(
    $$ select name from ours where relowner <> 'rendio_owner'::regrole $$,
    'everything belongs to rendio_owner'
);
select is_empty(
    $$ select name from ours where relispartition and nspname <> 'rendio' $$,
    'partitions are kept where no client comes'
);
select is_empty($$ select name from ours where relkind = 'S' $$, 'no sequence hands out keys');

-- Comments.
select is_empty(
    $$ select name from ours where obj_description(oid, 'pg_class') is null $$,
    'every table has a comment'
);
select is_empty(
    $$ select o.name, a.attname from ours as o join pg_attribute as a on a.attrelid = o.oid
       where o.nspname = 'public' and a.attnum > 0 and not a.attisdropped
           and col_description(o.oid, a.attnum) is null $$,
    'and so has every column of the tables that clients or the service see'
);
select is_empty(
    $$ select n.nspname from pg_namespace as n
       where n.nspname = 'rendio' and obj_description(n.oid, 'pg_namespace') is null $$,
    'and the schema'
);
select is_empty(
    $$ select t.typname from pg_type as t
       left join pg_class as c on c.oid = t.typrelid
       where t.typnamespace = 'rendio'::regnamespace
           and (t.typtype in ('d', 'e', 'r') or c.relkind = 'c')
           and coalesce(obj_description(t.oid, 'pg_type'), obj_description(c.oid, 'pg_class'))
               is null $$,
    'and every domain and type'
);
select is_empty(
    $$ select t.typname from pg_type as t
       where t.typnamespace in ('public'::regnamespace, 'rendio'::regnamespace)
           and t.typtype = 'd' and t.typowner <> 'rendio_owner'::regrole $$,
    'which belong to rendio_owner too'
);

-- Policies: one per verb and role, for named roles, with auth.uid() asked once per statement.
select is_empty(
    $$ select polrelid::regclass, polname from pg_policy
       where polrelid in (select oid from ours) and polroles = '{0}' $$,
    'every policy says for whom it is'
);
select is_empty(
    $$ select p.tablename, r.role, p.cmd, count(*)
       from pg_policies as p cross join lateral unnest(p.roles) as r (role)
       where p.schemaname in ('public', 'rendio')
       group by p.tablename, r.role, p.cmd having count(*) > 1 $$,
    'no two policies say the same to the same role'
);
select is_empty(
    $$ select tablename, policyname from pg_policies
       where schemaname in ('public', 'rendio')
           and regexp_replace(
               concat(qual, with_check), '\( ?SELECT auth\.uid\(\) AS uid\)', '', 'g'
           ) ~ 'auth\.' $$,
    'auth.uid() is asked once per statement, not once per row'
);

select * from finish();
rollback;
