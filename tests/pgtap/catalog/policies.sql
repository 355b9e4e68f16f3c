-- Everybody sees what is on sale; the service keeps the catalogue; nobody sees provider names.
begin;
select plan(16);

insert into public.models (id, name, category, provider, provider_model_id, is_available)
values ('eeeeeeee-0000-4000-8000-000000000001', 'Retired', 'c', 'p', 'p/secret', false);

set local role anon;
select is((select count(*)::integer from public.models), 2, 'anon sees the two models on sale');
select throws_ok(
    $$ select provider_model_id from public.models $$, '42501', null,
    'what the provider calls them is hidden'
);
select throws_ok($$ select * from public.models $$, '42501', null, 'also behind an asterisk');
select throws_ok(
    $$ update public.models set cost_per_generation = 1 $$, '42501', null,
    'prices are not its to set'
);
select throws_ok($$ select * from public.catalog_version $$, '42501', null, 'the tag is internal');

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is((select count(id)::integer from public.models), 2, 'Ada sees the same');
select throws_ok(
    $$ insert into public.models (name, category, provider, cost_per_generation)
       values ('Mine', 'c', 'p', 1) $$, '42501', null, 'and adds none'
);
select throws_ok($$ delete from public.models $$, '42501', null, 'nor deletes any');
select throws_ok($$ truncate public.models $$, '42501', null, 'nor empties the table');

set local role service_role;
select is((select count(*)::integer from public.models), 3, 'the service sees the retired one too');
select lives_ok(
    $$ insert into public.models (name, category, provider, cost_per_generation)
       values ('New', 'c', 'p', 1) $$, 'it adds models'
);
select lives_ok(
    $$ update public.models set is_available = true where name = 'Retired' $$, 'and changes them'
);
select throws_ok(
    $$ delete from public.models $$, '42501', null, 'but deletes none: jobs name them'
);
select throws_ok(
    $$ update public.models set cost_per_generation = 0 $$, '23514', null,
    'a price below one is refused by the table itself'
);
select throws_ok(
    $$ update public.models set cost_per_generation = -50 $$, '23514', null, 'a negative one too'
);
select throws_ok(
    $$ update public.models set cost_per_generation = null $$, '23502', null, 'and none'
);
reset role;

select * from finish();
rollback;
