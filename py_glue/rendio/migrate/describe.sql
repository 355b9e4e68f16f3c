-- The catalogue as text: one row per object and aspect of everything that is ours. Drift, verify
-- and the tests compare these rows. Needs search_path = '' so that names come out qualified.
--
-- Ours is what rendio_owner owns, and what the identities passed as a parameter name: objects
-- made as the caller, and objects that somebody gave to another owner. Partitions come and go
-- with the months; of them only the distinct privileges and row security are described.
with listed as (
    select pg_catalog.unnest({identities}::text[]) as object
),

ours as (
    select r.oid as owner
    from pg_catalog.pg_roles as r
    where r.rolname = 'rendio_owner'
),

relations as (
    select
        c.oid,
        c.relkind,
        c.relowner as owner,
        case c.relkind
            when 'v' then 'view '
            when 'm' then 'materialized view '
            when 'S' then 'sequence '
            when 'f' then 'foreign table '
            when 'c' then 'type '
            else 'table '
        end || c.oid::regclass::text as object
    from pg_catalog.pg_class as c
    where
        c.relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
        and not c.relispartition
        and c.relpersistence <> 't'
        and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
),

our_relations as (
    select r.*
    from relations as r
    where r.owner in (select o.owner from ours as o) or r.object in (select l.object from listed as l)
),

routines as (
    select
        p.oid,
        p.proowner as owner,
        case p.prokind when 'p' then 'procedure ' when 'a' then 'aggregate ' else 'function ' end
        || p.oid::regprocedure::text as object
    from pg_catalog.pg_proc as p
    where p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
),

our_routines as (
    select r.*
    from routines as r
    where r.owner in (select o.owner from ours as o) or r.object in (select l.object from listed as l)
),

-- (object, kind of privileges, owner, acl) of everything that can be granted
acls as (
    select r.object, ''::text as part, c.relowner as owner,
        coalesce(
            c.relacl,
            pg_catalog.acldefault(case c.relkind when 'S' then 's'::"char" else 'r' end, c.relowner)
        ) as acl
    from our_relations as r
    inner join pg_catalog.pg_class as c on c.oid = r.oid
    where c.relkind <> 'c'
    union all
    select r.object, 'column ' || a.attname, r.owner, a.attacl
    from our_relations as r
    inner join pg_catalog.pg_attribute as a on a.attrelid = r.oid
    where a.attacl is not null and not a.attisdropped
    union all
    select r.object, '', p.proowner,
        coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
    from our_routines as r
    inner join pg_catalog.pg_proc as p on p.oid = r.oid
    union all
    select 'schema ' || pg_catalog.quote_ident(n.nspname), '', n.nspowner,
        coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))
    from pg_catalog.pg_namespace as n
    where
        n.nspowner in (select o.owner from ours as o)
        or 'schema ' || pg_catalog.quote_ident(n.nspname) in (select l.object from listed as l)
    union all
    select 'type ' || t.oid::regtype::text, '', t.typowner,
        coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))
    from pg_catalog.pg_type as t
    where t.typtype in ('e', 'd') and t.typowner in (select o.owner from ours as o)
),

facts as (
    select r.object, 'owner' as aspect,
        case when r.owner in (select o.owner from ours as o) then 'rendio_owner' else 'another' end
            as definition
    from (select object, owner from our_relations union all select object, owner from our_routines)
        as r
    union all
    select g.object,
        pg_catalog.concat_ws(' ', nullif(g.part, ''), 'grants to', g.grantee),
        pg_catalog.string_agg(g.privilege, ', ' order by g.privilege collate "C")
    from (
        select a.object, a.part,
            case x.grantee
                when 0 then 'public'
                when a.owner then 'its owner'
                else x.grantee::regrole::text
            end as grantee,
            pg_catalog.lower(x.privilege_type)
            || case when x.is_grantable then ' with grant option' else '' end as privilege
        from acls as a
        cross join lateral pg_catalog.aclexplode(a.acl) as x
        -- An owner gets this right by an upgrade to 17.
        where not (x.grantee = a.owner and x.privilege_type = 'MAINTAIN')
    ) as g
    group by g.object, g.part, g.grantee
    union all
    select r.object, 'kind',
        pg_catalog.concat_ws(
            ' ', c.relkind, c.relpersistence, pg_catalog.array_to_string(c.reloptions, ','),
            case c.relkind when 'p' then pg_catalog.pg_get_partkeydef(c.oid) end,
            nullif(c.relreplident::text, 'd')
        )
    from our_relations as r
    inner join pg_catalog.pg_class as c on c.oid = r.oid
    union all
    select r.object, 'row security',
        pg_catalog.concat_ws(
            ' ',
            case when c.relrowsecurity then 'enabled' else 'disabled' end,
            case when c.relforcerowsecurity then 'forced' end
        )
    from our_relations as r
    inner join pg_catalog.pg_class as c on c.oid = r.oid
    where c.relkind in ('r', 'p')
    union all
    select r.object, 'column ' || a.attname,
        pg_catalog.concat_ws(
            ' ',
            pg_catalog.format_type(a.atttypid, a.atttypmod),
            case when a.attnotnull then 'not null' end,
            'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid),
            'identity ' || nullif(a.attidentity::text, ''),
            'generated ' || nullif(a.attgenerated::text, ''),
            case
                when a.attcollation <> t.typcollation then 'collate ' || a.attcollation::regcollation
            end,
            'comment ' || pg_catalog.col_description(r.oid, a.attnum)
        )
    from our_relations as r
    inner join pg_catalog.pg_attribute as a on a.attrelid = r.oid
    inner join pg_catalog.pg_type as t on t.oid = a.atttypid
    left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped and r.relkind <> 'S'
    union all
    select r.object, 'constraint ' || k.conname,
        pg_catalog.pg_get_constraintdef(k.oid)
        || coalesce(' comment ' || pg_catalog.obj_description(k.oid, 'pg_constraint'), '')
    from our_relations as r
    inner join pg_catalog.pg_constraint as k on k.conrelid = r.oid
    where k.contype <> 'n'
    union all
    select r.object, 'index ' || i.indexrelid::regclass::text,
        pg_catalog.concat_ws(
            ' ',
            pg_catalog.pg_get_indexdef(i.indexrelid),
            case when not i.indisvalid then 'invalid' end,
            case when i.indisreplident then 'replica identity' end,
            case when i.indisclustered then 'clustered' end,
            'comment ' || pg_catalog.obj_description(i.indexrelid, 'pg_class')
        )
    from our_relations as r
    inner join pg_catalog.pg_index as i on i.indrelid = r.oid
    union all
    select r.object, 'trigger ' || g.tgname,
        pg_catalog.pg_get_triggerdef(g.oid) || ' ' || g.tgenabled::text
    from our_relations as r
    inner join pg_catalog.pg_trigger as g on g.tgrelid = r.oid
    where not g.tgisinternal
    union all
    select r.object, 'rule ' || w.rulename, pg_catalog.pg_get_ruledef(w.oid)
    from our_relations as r
    inner join pg_catalog.pg_rewrite as w on w.ev_class = r.oid
    union all
    select r.object, 'statistics ' || s.stxname, pg_catalog.pg_get_statisticsobjdef(s.oid)
    from our_relations as r
    inner join pg_catalog.pg_statistic_ext as s on s.stxrelid = r.oid
    union all
    select r.object, 'comment', pg_catalog.obj_description(r.oid, 'pg_class')
    from our_relations as r
    where pg_catalog.obj_description(r.oid, 'pg_class') is not null
    union all
    select r.object, 'sequence',
        pg_catalog.concat_ws(
            ' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
            s.seqcycle
        )
    from our_relations as r
    inner join pg_catalog.pg_sequence as s on s.seqrelid = r.oid
    union all
    select r.object, 'publication ' || p.pubname,
        pg_catalog.concat_ws(
            ' ',
            'published',
            (
                select pg_catalog.string_agg(a.attname, ', ' order by a.attnum)
                from pg_catalog.pg_attribute as a
                where a.attrelid = m.prrelid and a.attnum = any(m.prattrs::int2[])
            ),
            pg_catalog.pg_get_expr(m.prqual, m.prrelid)
        )
    from our_relations as r
    inner join pg_catalog.pg_publication_rel as m on m.prrelid = r.oid
    inner join pg_catalog.pg_publication as p on p.oid = m.prpubid
    union all
    select r.object, 'partitions', pg_catalog.string_agg(distinct d.door, '; ' order by d.door)
    from our_relations as r
    inner join pg_catalog.pg_inherits as h on h.inhparent = r.oid
    inner join pg_catalog.pg_class as c on c.oid = h.inhrelid and c.relispartition
    cross join lateral (
        select pg_catalog.concat_ws(
            ' ',
            c.relowner::regrole,
            case when c.relrowsecurity then 'row security' end,
            (
                select pg_catalog.string_agg(x.door, ', ' order by x.door collate "C")
                from (
                    select
                        x.grantee::regrole::text || ' ' || pg_catalog.lower(x.privilege_type)
                            as door
                    from pg_catalog.aclexplode(
                        coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))
                    ) as x
                    where x.privilege_type <> 'MAINTAIN'
                ) as x
            )
        ) as door
    ) as d
    group by r.object
    union all
    select 'policy ' || pg_catalog.quote_ident(p.polname) || ' on ' || c.oid::regclass::text,
        'definition',
        pg_catalog.concat_ws(
            ' ',
            case when p.polpermissive then 'permissive' else 'restrictive' end,
            p.polcmd,
            'to',
            (
                select pg_catalog.string_agg(
                    case m.role when 0 then 'public' else m.role::regrole::text end,
                    ', ' order by case m.role when 0 then 'public' else m.role::regrole::text end
                )
                from pg_catalog.unnest(p.polroles) as m (role)
            ),
            'using ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid),
            'with check ' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
            'comment ' || pg_catalog.obj_description(p.oid, 'pg_policy')
        )
    from pg_catalog.pg_policy as p
    inner join pg_catalog.pg_class as c on c.oid = p.polrelid
    where
        c.relowner in (select o.owner from ours as o)
        or 'policy ' || pg_catalog.quote_ident(p.polname) || ' on ' || c.oid::regclass::text
        in (select l.object from listed as l)
    union all
    select r.object, 'body',
        coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc)
    from our_routines as r
    inner join pg_catalog.pg_proc as p on p.oid = r.oid
    union all
    select r.object, 'attributes',
        pg_catalog.concat_ws(
            ' ',
            '(' || pg_catalog.pg_get_function_arguments(p.oid) || ')',
            'returns ' || pg_catalog.pg_get_function_result(p.oid),
            'language ' || l.lanname,
            'volatility ' || p.provolatile::text,
            'parallel ' || p.proparallel::text,
            case when p.prosecdef then 'security definer' end,
            case when p.proisstrict then 'strict' end,
            case when p.proleakproof then 'leakproof' end,
            'cost ' || p.procost,
            'rows ' || p.prorows,
            'set ' || pg_catalog.array_to_string(p.proconfig, ', ')
        )
    from our_routines as r
    inner join pg_catalog.pg_proc as p on p.oid = r.oid
    inner join pg_catalog.pg_language as l on l.oid = p.prolang
    union all
    select r.object, 'comment', pg_catalog.obj_description(r.oid, 'pg_proc')
    from our_routines as r
    where pg_catalog.obj_description(r.oid, 'pg_proc') is not null
    union all
    select 'schema ' || pg_catalog.quote_ident(n.nspname), 'comment',
        coalesce(pg_catalog.obj_description(n.oid, 'pg_namespace'), '')
    from pg_catalog.pg_namespace as n
    where
        n.nspowner in (select o.owner from ours as o)
        or 'schema ' || pg_catalog.quote_ident(n.nspname) in (select l.object from listed as l)
    union all
    select 'type ' || t.oid::regtype::text, 'definition',
        case t.typtype
            when 'e' then (
                select pg_catalog.string_agg(e.enumlabel, ', ' order by e.enumsortorder)
                from pg_catalog.pg_enum as e
                where e.enumtypid = t.oid
            )
            else pg_catalog.concat_ws(
                ' ',
                pg_catalog.format_type(t.typbasetype, t.typtypmod),
                case when t.typnotnull then 'not null' end,
                'default ' || t.typdefault,
                (
                    select pg_catalog.string_agg(
                        pg_catalog.pg_get_constraintdef(k.oid), ' ' order by k.conname
                    )
                    from pg_catalog.pg_constraint as k
                    where k.contypid = t.oid and k.contype <> 'n'
                )
            )
        end || coalesce(' comment ' || pg_catalog.obj_description(t.oid, 'pg_type'), '')
    from pg_catalog.pg_type as t
    where t.typtype in ('e', 'd') and t.typowner in (select o.owner from ours as o)
    union all
    select 'publication ' || pg_catalog.quote_ident(p.pubname), 'definition',
        pg_catalog.concat_ws(
            ' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot
        )
    from pg_catalog.pg_publication as p
    where 'publication ' || pg_catalog.quote_ident(p.pubname) in (select l.object from listed as l)
    union all
    select 'default privileges of rendio_owner',
        pg_catalog.concat_ws(' in ', d.defaclobjtype, nullif(d.defaclnamespace::regnamespace::text, '-')),
        d.defaclacl::text
    from pg_catalog.pg_default_acl as d
    where d.defaclrole in (select o.owner from ours as o)
)

select f.object, f.aspect, f.definition
from facts as f
order by f.object collate "C", f.aspect collate "C"
