-- Whatever writes a model changes the catalogue's tag.
begin;
select plan(7);

create function pg_temp.changes_tag(p_call text) returns boolean language plpgsql as $$
declare
    v_before text := (select etag from public.catalog_version);
begin
    execute p_call;
    return v_before <> (select etag from public.catalog_version);
end $$;

select ok(
    pg_temp.changes_tag($$ insert into public.models (name, category, provider,
        cost_per_generation) values ('New', 'c', 'p', 1) $$),
    'a new model does'
);
select ok(
    pg_temp.changes_tag($$ update public.models set cost_per_generation = 5 where name = 'New' $$),
    'so does a new price'
);
select ok(
    pg_temp.changes_tag($$ update public.models set is_available = false where name = 'New' $$),
    'a retirement'
);
select ok(pg_temp.changes_tag($$ delete from public.models where name = 'New' $$), 'a deletion');
select ok(pg_temp.changes_tag($$ truncate public.models $$), 'and the end of everything');
select is((select count(*)::integer from public.catalog_version), 1, 'there is one tag');

-- The service may not write the tag, but its models do.
set local role service_role;
select lives_ok(
    $$ insert into public.models (name, category, provider, cost_per_generation)
       values ('Mine', 'c', 'p', 1) $$,
    'the service''s statement moves the tag with the owner''s right'
);
reset role;

select * from finish();
rollback;
