-- A guest becomes an account, once, and keeps all it has.
begin;
select plan(6);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
end $$;
create function pg_temp.upgrade(p_user_id uuid) returns void language sql as $$
    select rendio.upgrade_guest(u, '2030-01-16 08:00:00+00') from public.users as u
    where u.id = p_user_id;
$$;

create temp table before as
select to_jsonb(u) - '{is_guest,updated_at}'::text[] as rest from public.users as u;
do $$ begin perform pg_temp.upgrade('aaaaaaaa-0000-4000-8000-000000000001'); end $$;
select results_eq(
    $$ select is_guest, updated_at from public.users $$,
    $$ values (false, timestamptz '2030-01-16 08:00:00+00') $$, 'Ada is no guest any more'
);
select results_eq(
    $$ select to_jsonb(u) - '{is_guest,updated_at}'::text[] from public.users as u $$,
    $$ select rest from before $$, 'and nothing else has changed'
);
select throws_ok(
    $$ select pg_temp.upgrade('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT409', 'invalid_transition', 'an account is not made twice'
);

insert into public.users (id, is_guest, merged_into, deleted_at) values
('bbbbbbbb-0000-4000-8000-000000000001', true, 'aaaaaaaa-0000-4000-8000-000000000001', null),
('cccccccc-0000-4000-8000-000000000001', true, null, '2030-01-15 08:00:00+00');
select throws_ok(
    $$ select pg_temp.upgrade('bbbbbbbb-0000-4000-8000-000000000001') $$,
    'PT409', 'account_merged', 'nor out of a guest that has gone into one'
);
select throws_ok(
    $$ select pg_temp.upgrade('cccccccc-0000-4000-8000-000000000001') $$,
    'PT409', 'invalid_transition', 'nor out of a deleted one'
);
select set_eq(
    $$ select id from public.users where is_guest $$,
    $$ values ('bbbbbbbb-0000-4000-8000-000000000001'::uuid),
       ('cccccccc-0000-4000-8000-000000000001') $$,
    'who was refused is what it was'
);

select * from finish();
rollback;
