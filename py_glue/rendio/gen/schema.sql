-- One row per statement: the object it belongs to, its place there, its text.
with ours as (
    select c.oid, c.relkind, c.relrowsecurity, c.reloptions, c.relacl, c.relowner, c.relispartition,
        format('%I.%I', n.nspname, c.relname) as name
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relowner = 'rendio_owner'::regrole
        and n.nspname in ('public', 'rendio')
        and c.relkind in ('r', 'p', 'v', 'm')
        -- Month and day partitions come with time.
        and (not c.relispartition or pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT')
),

elements as (
    select a.attrelid as oid, 1 as kind, to_char(a.attnum, '0000') as place,
        format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
        || case when a.attnotnull then ' not null' else '' end
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as text
    from pg_attribute as a
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped
    union all
    -- From 18 on, not null is a constraint too; the column says it already.
    select c.conrelid, 2, c.conname, format('constraint %I %s', c.conname, pg_get_constraintdef(c.oid))
    from pg_constraint as c
    where c.contype in ('p', 'u', 'c', 'f', 'x')
),

policies as (
    select p.polrelid as oid, p.polname,
        case p.polcmd
            when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
            when 'd' then 'delete' else 'all'
        end as command,
        case when p.polpermissive then '' else ' as restrictive' end as mode,
        (
            select string_agg(case r.oid when 0 then 'public' else r.oid::regrole::text end, ', '
                order by r.oid::regrole::text)
            from unnest(p.polroles) as r (oid)
        ) as roles,
        pg_get_expr(p.polqual, p.polrelid) as visible,
        pg_get_expr(p.polwithcheck, p.polrelid) as checked
    from pg_policy as p
),

-- Who may do what, but for what an owner has by itself. 17 added maintain to the owner's list.
held as (
    select o.oid, '' as columns, a.grantee, lower(a.privilege_type) as privilege, o.relowner
    from ours as o, aclexplode(o.relacl) as a
    union all
    select o.oid, string_agg(format('%I', t.attname), ', ' order by t.attnum),
        a.grantee, lower(a.privilege_type), o.relowner
    from ours as o
    join pg_attribute as t on t.attrelid = o.oid
    cross join aclexplode(t.attacl) as a
    group by o.oid, a.grantee, a.privilege_type, o.relowner
),

granted as (
    select h.oid,
        case h.grantee when 0 then 'public' else h.grantee::regrole::text end as grantee,
        string_agg(
            h.privilege || case h.columns when '' then '' else format(' (%s)', h.columns) end, ', '
            order by h.columns, h.privilege
        ) as privileges
    from held as h
    where h.grantee <> h.relowner
    group by h.oid, h.grantee
),

kept_from_owner as (
    select o.oid, string_agg(p.name, ', ' order by p.name) as privileges
    from ours as o
    cross join unnest(array['delete', 'insert', 'select', 'truncate', 'update']) as p (name)
    where not has_table_privilege(o.relowner, o.oid, p.name)
    group by o.oid
),

functions as (
    select p.*, format('%I.%I', n.nspname, p.proname) as name, l.lanname
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    join pg_language as l on l.oid = p.prolang
    where p.proowner = 'rendio_owner'::regrole and n.nspname in ('public', 'rendio')
)

select 'table ' || o.name as object, 0 as rank, '' as place,
    case when o.relkind in ('v', 'm')
        then format(e'create view %s as\n%s', o.name, pg_get_viewdef(o.oid, true))
        else format(e'create table %s (\n%s\n)', o.name, (
            select string_agg('    ' || e.text, e',\n' order by e.kind, e.place)
            from elements as e
            where e.oid = o.oid
        ))
        || coalesce(e'\npartition by ' || pg_get_partkeydef(o.oid), '')
        || coalesce(e'\nwith (' || array_to_string(o.reloptions, ', ') || ')', '') || ';'
    end as statement
from ours as o
union all
select 'table ' || o.name, 1, '', format('alter table %s attach partition %s DEFAULT;',
    i.inhparent::regclass, o.name)
from ours as o
join pg_inherits as i on i.inhrelid = o.oid
union all
select 'table ' || o.name, 2, x.relname, pg_get_indexdef(i.indexrelid) || ';'
from ours as o
join pg_index as i on i.indrelid = o.oid
join pg_class as x on x.oid = i.indexrelid
where not exists (select from pg_constraint as c where c.conindid = i.indexrelid and c.contype <> 'f')
union all
select 'table ' || o.name, 3, t.tgname, pg_get_triggerdef(t.oid) || ';'
from ours as o
join pg_trigger as t on t.tgrelid = o.oid
where not t.tgisinternal
union all
select 'table ' || o.name, 4, '', format('alter table %s enable row level security;', o.name)
from ours as o
where o.relrowsecurity
union all
select 'table ' || o.name, 5, p.polname,
    format('create policy %I on %s%s for %s to %s', p.polname, o.name, p.mode, p.command, p.roles)
    || coalesce(e'\n    using ' || p.visible, '') || coalesce(e'\n    with check ' || p.checked, '')
    || ';'
from ours as o
join policies as p on p.oid = o.oid
union all
select 'table ' || o.name, 6, k.privileges,
    format('revoke %s on %s from rendio_owner;', k.privileges, o.name)
from ours as o
join kept_from_owner as k on k.oid = o.oid
union all
select 'table ' || o.name, 7, g.grantee, format('grant %s on %s to %s;', g.privileges, o.name, g.grantee)
from ours as o
join granted as g on g.oid = o.oid
union all
select 'table ' || format('%I.%I', p.schemaname, p.tablename), 8, p.pubname::text,
    format('alter publication %I add table %I.%I;', p.pubname, p.schemaname, p.tablename)
from pg_publication_tables as p
join ours as o on o.name = format('%I.%I', p.schemaname, p.tablename)
union all
select 'type ' || t.oid::regtype, 0, '', format(e'create type %s as (\n%s\n);', t.oid::regtype, (
    select string_agg('    ' || e.text, e',\n' order by e.place) from elements as e where e.oid = c.oid
))
from pg_type as t
join pg_class as c on c.oid = t.typrelid
where c.relkind = 'c' and c.relowner = 'rendio_owner'::regrole
union all
select 'domain ' || t.oid::regtype, 0, '',
    format('create domain %s as %s', t.oid::regtype, format_type(t.typbasetype, t.typtypmod))
    || case when t.typnotnull then ' not null' else '' end
    || coalesce(' default ' || t.typdefault, '')
    || coalesce((
        select string_agg(
            format(e'\n    constraint %I %s', c.conname, pg_get_constraintdef(c.oid)), ''
            order by c.conname
        )
        from pg_constraint as c
        where c.contypid = t.oid and c.contype = 'c'
    ), '') || ';'
from pg_type as t
where t.typtype = 'd' and t.typowner = 'rendio_owner'::regrole
union all
select 'type ' || t.oid::regtype, 0, '', format(
    e'create type %s as enum (\n    %s\n);', t.oid::regtype, (
        select string_agg(quote_literal(e.enumlabel), e',\n    ' order by e.enumsortorder)
        from pg_enum as e
        where e.enumtypid = t.oid
    )
)
from pg_type as t
where t.typtype = 'e' and t.typowner = 'rendio_owner'::regrole
union all
select 'schema ' || n.nspname, 0, '', format('create schema %I authorization rendio_owner;', n.nspname)
from pg_namespace as n
where n.nspowner = 'rendio_owner'::regrole
union all
select 'schema ' || n.nspname, 1, g.name, format('grant %s on schema %I to %s;', g.verbs, n.nspname, g.name)
from pg_namespace as n
cross join lateral (
    select case a.grantee when 0 then 'public' else a.grantee::regrole::text end as name,
        string_agg(lower(a.privilege_type), ', ' order by a.privilege_type) as verbs
    from aclexplode(n.nspacl) as a
    where a.grantee <> n.nspowner
    group by a.grantee
) as g
where n.nspowner = 'rendio_owner'::regrole
union all
select 'function ' || f.name || '(' || pg_get_function_identity_arguments(f.oid) || ')', 0, '',
    format(e'create %s %s(%s)', case f.prokind when 'p' then 'procedure' else 'function' end,
        f.name, pg_get_function_arguments(f.oid))
    || coalesce(e'\n    returns ' || pg_get_function_result(f.oid), '')
    || e'\n    ' || concat_ws(
        ' ', 'language ' || f.lanname,
        case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
        case f.proparallel when 's' then 'parallel safe' when 'r' then 'parallel restricted' end,
        case when f.prosecdef then 'security definer' else 'security invoker' end,
        'set ' || array_to_string(f.proconfig, ' set ')
    ) || ';'
from functions as f
union all
select 'function ' || f.name || '(' || pg_get_function_identity_arguments(f.oid) || ')', 1,
    case a.grantee when 0 then 'public' else a.grantee::regrole::text end,
    format('grant execute on function %s to %s;', f.name,
        case a.grantee when 0 then 'public' else a.grantee::regrole::text end)
from functions as f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as a
where a.grantee <> f.proowner
order by object, rank, place
