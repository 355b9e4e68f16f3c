-- Helpers of this script, gone with the session. They write the same ledger rows as
-- `rendio apply`: what each file made, and hashes of it for `rendio drift`.
create temporary table rendio_facts (
    object text not null,
    aspect text not null,
    digest text not null,
    primary key (object, aspect)
);
create temporary table rendio_found (identity text not null);
create temporary table rendio_changed (
    object text not null,
    aspect text not null,
    digest text,
    primary key (object, aspect)
);
grant select, insert, delete on rendio_facts, rendio_found, rendio_changed to public;

create function pg_temp.rendio_find(
    p_kinds text[], p_schemas text[], p_names text[], p_table_schemas text[], p_table_names text[]
)
returns table (n bigint, identity text, owner text)
language sql
as $rendio$
{find}
$rendio$;

create function pg_temp.rendio_describe(p_identities text[])
returns table (object text, aspect text, digest text)
language sql
as $rendio$
select d.object, d.aspect, left(encode(sha256(convert_to(d.definition, 'UTF8')), 'hex'), 16)
from (
{describe}
) as d
where d.aspect <> 'partitions'
$rendio$;

-- An index built outside of a transaction, as its table's aspect.
create function pg_temp.rendio_aspect(p_aspect text)
returns jsonb
language sql
as $rendio$
select coalesce(
    jsonb_object_agg(d.object, jsonb_build_object(d.aspect, d.digest)), '{{}}'::jsonb
)
from pg_temp.rendio_describe('{{}}') as d
where d.aspect = p_aspect
$rendio$;

-- Before a file: what there is, and which of the names that the file creates exist already.
create function pg_temp.rendio_begin(
    p_kinds text[], p_schemas text[], p_names text[], p_table_schemas text[], p_table_names text[]
)
returns void
language plpgsql
as $rendio$
declare
    v_made text[] := '{{}}';
begin
    delete from pg_temp.rendio_facts;
    delete from pg_temp.rendio_found;
    if to_regclass('rendio.migrations') is not null then
        select coalesce(array_agg(d.identity), '{{}}') into v_made
        from rendio.migrations as m, unnest(m.defines) as d (identity);
        insert into pg_temp.rendio_facts
        select d.object, d.aspect, d.digest from pg_temp.rendio_describe(v_made) as d;
    end if;
    insert into pg_temp.rendio_found
    select f.identity
    from pg_temp.rendio_find(p_kinds, p_schemas, p_names, p_table_schemas, p_table_names) as f;
end;
$rendio$;

create function pg_temp.rendio_write(
    p_path text, p_checksum text, p_state text, p_defines text[], p_facts jsonb
)
returns void
language plpgsql
as $rendio$
begin
    {write};
end;
$rendio$;

-- After a file, or after all functions: what has changed in the catalogue since rendio_begin.
create function pg_temp.rendio_look(
    p_kinds text[], p_schemas text[], p_names text[], p_table_schemas text[], p_table_names text[]
)
returns void
language plpgsql
as $rendio$
declare
    v_listed text[];
begin
    select coalesce(array_agg(l.identity), '{{}}') into v_listed
    from (
        select d.identity
        from rendio.migrations as m, unnest(m.defines) as d (identity)
        union all
        select f.identity
        from pg_temp.rendio_find(p_kinds, p_schemas, p_names, p_table_schemas, p_table_names) as f
        where f.identity not in (select b.identity from pg_temp.rendio_found as b)
    ) as l;
    delete from pg_temp.rendio_changed;
    insert into pg_temp.rendio_changed
    select coalesce(a.object, b.object), coalesce(a.aspect, b.aspect), a.digest
    from pg_temp.rendio_describe(v_listed) as a
    full join pg_temp.rendio_facts as b on b.object = a.object and b.aspect = a.aspect
    where a.digest is distinct from b.digest;
end;
$rendio$;

-- What a row keeps, with what changed taken out and, for the file itself, put in anew.
create function pg_temp.rendio_merged(p_fingerprint jsonb, p_is_own boolean, p_objects text[])
returns jsonb
language sql
as $rendio$
with changed as (
    select c.object, c.aspect, c.digest
    from pg_temp.rendio_changed as c
    where p_objects is null or c.object = any(p_objects)
)

select coalesce(jsonb_object_agg(o.object, o.aspects), '{{}}'::jsonb)
from (
    select m.object, jsonb_object_agg(m.aspect, m.digest) as aspects
    from (
        select o.key as object, a.key as aspect, a.value as digest
        from jsonb_each(p_fingerprint) as o
        cross join lateral jsonb_each_text(o.value) as a
        where not exists (select from changed as c where c.object = o.key and c.aspect = a.key)
        union all
        select c.object, c.aspect, c.digest
        from changed as c
        where p_is_own and c.digest is not null
    ) as m
    group by m.object
) as o
$rendio$;

-- Files that are gone: what their rows keep goes to the rows that define the objects now.
create function pg_temp.rendio_forget(p_paths text[])
returns void
language plpgsql
as $rendio$
declare
    v_path text;
    v_thing text;
    v_aspects jsonb;
    v_heir text;
begin
    for v_path, v_thing, v_aspects in
        select m.path, o.key, o.value
        from rendio.migrations as m, jsonb_each(m.fingerprint::jsonb) as o
        where m.path = any(p_paths)
    loop
        select coalesce(min(m.path collate "C") filter (where v_thing = any(m.defines)),
            min(m.path collate "C")) into v_heir
        from rendio.migrations as m
        where m.path <> all(p_paths);
        update rendio.migrations as m
        set fingerprint = (
            m.fingerprint::jsonb || jsonb_build_object(
                v_thing, coalesce(m.fingerprint::jsonb -> v_thing, '{{}}') || v_aspects
            )
        )::text
        where m.path = v_heir;
    end loop;
    delete from rendio.migrations as m where m.path = any(p_paths);
end;
$rendio$;

-- Then for each file: what changed goes into its row, of a function file what concerns the
-- function, which is also checked now that all functions exist.
create function pg_temp.rendio_end(
    p_path text,
    p_checksum text,
    p_is_function boolean,
    p_kinds text[], p_schemas text[], p_names text[], p_table_schemas text[], p_table_names text[]
)
returns void
language plpgsql
as $rendio$
declare
    v_own text[];
    v_old jsonb;
    v_defines text[];
    v_objects text[];
begin
    select m.defines, m.fingerprint::jsonb into v_own, v_old
    from rendio.migrations as m
    where m.path = p_path and m.state <> 'running';

    select coalesce(array_agg(distinct f.identity), '{{}}') into v_defines
    from pg_temp.rendio_find(p_kinds, p_schemas, p_names, p_table_schemas, p_table_names) as f
    where
        p_is_function
        or f.identity like 'policy %'
        or f.identity = any(v_own)
        or f.identity not in (select b.identity from pg_temp.rendio_found as b);
    if p_is_function then
        perform pg_temp.rendio_check(p_path, v_defines);
        v_objects := v_defines;
    end if;

    update rendio.migrations as m
    set fingerprint = pg_temp.rendio_merged(m.fingerprint::jsonb, false, v_objects)::text
    where
        m.path <> p_path
        and exists (
            select from pg_temp.rendio_changed as c
            where
                m.fingerprint::jsonb -> c.object ? c.aspect
                and (v_objects is null or c.object = any(v_objects))
        );
    perform pg_temp.rendio_write(
        p_path, p_checksum, 'applied', v_defines, pg_temp.rendio_merged(v_old, true, v_objects)
    );
end;
$rendio$;

create function pg_temp.rendio_check(p_path text, p_defines text[])
returns void
language plpgsql
as $rendio$
declare
    v_call text;
begin
    if cardinality(p_defines) <> 1 then
        raise exception '% must leave one function of its name, and there are: %',
            p_path, array_to_string(p_defines, ', ')
            using hint = 'Drop the overload in a versioned file.';
    end if;
    select format('select pg_catalog.%I(%s::oid)', v.name, p.oid) into v_call
    from pg_proc as p
    inner join pg_language as l on l.oid = p.prolang
    inner join (
        values ('plpgsql', 'plpgsql_validator'), ('sql', 'fmgr_sql_validator')
    ) as v (language, name) on v.language = l.lanname
    where p.oid = case
        when p_defines[1] ~ '^(function|procedure) '
            then to_regprocedure(regexp_replace(p_defines[1], '^\w+ ', ''))
    end;
    if v_call is not null then
        set local check_function_bodies = on;
        execute v_call;
    end if;
end;
$rendio$;
