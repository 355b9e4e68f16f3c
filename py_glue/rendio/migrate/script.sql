-- Helpers of this script, gone with the session. They write the same ledger rows as
-- `rendio apply`: what each file made, and hashes of it for `rendio drift`.
create temporary table rendio_facts (
    object text not null,
    aspect text not null,
    digest text not null,
    primary key (object, aspect)
);
create temporary table rendio_found (identity text not null);
grant select, insert, delete on rendio_facts, rendio_found to public;

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

-- After a file: the difference to what was there goes into the ledger. Of a function file that
-- is the function alone, which is also checked now that all functions exist.
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
    v_made text[];
    v_own text[];
    v_old jsonb;
    v_facts jsonb;
    v_defines text[];
    v_call text;
begin
    select coalesce(array_agg(d.identity), '{{}}') into v_made
    from rendio.migrations as m, unnest(m.defines) as d (identity);
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
    if p_is_function and cardinality(v_defines) <> 1 then
        raise exception '% must leave one function of its name, and there are: %',
            p_path, array_to_string(v_defines, ', ')
            using hint = 'Drop the overload in a versioned file.';
    end if;

    with
    after as materialized (
        select d.object, d.aspect, d.digest from pg_temp.rendio_describe(v_made || v_defines) as d
    ),

    changed as (
        select coalesce(a.object, b.object) as object, coalesce(a.aspect, b.aspect) as aspect,
            a.digest
        from after as a
        full join pg_temp.rendio_facts as b on b.object = a.object and b.aspect = a.aspect
        where a.digest is distinct from b.digest
    ),

    merged as (
        select c.object, c.aspect, c.digest
        from changed as c
        where not p_is_function or c.object = any(v_defines)
        union all
        select o.key, a.key, a.value
        from jsonb_each(v_old) as o
        cross join lateral jsonb_each_text(o.value) as a
        where not exists (
            select from changed as c where c.object = o.key and c.aspect = a.key
        )
    )

    select coalesce(jsonb_object_agg(o.object, o.aspects), '{{}}') into v_facts
    from (
        select m.object, jsonb_object_agg(m.aspect, m.digest) as aspects
        from merged as m
        group by m.object
    ) as o;

    if p_is_function then
        select format('select pg_catalog.%I(%s::oid)', v.name, p.oid) into v_call
        from pg_proc as p
        inner join pg_language as l on l.oid = p.prolang
        inner join (
            values ('plpgsql', 'plpgsql_validator'), ('sql', 'fmgr_sql_validator')
        ) as v (language, name) on v.language = l.lanname
        where p.oid = case
            when v_defines[1] ~ '^(function|procedure) '
                then to_regprocedure(regexp_replace(v_defines[1], '^\w+ ', ''))
        end;
        if v_call is not null then
            set local check_function_bodies = on;
            execute v_call;
        end if;
    end if;
    perform pg_temp.rendio_write(p_path, p_checksum, 'applied', v_defines, v_facts);
end;
$rendio$;
