-- What can be spent: the balance, without what has expired and is not settled yet.
begin;
set local timezone = 'UTC';
select plan(9);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.add_credits(v_ada, 5, 'promo_grant', gen_random_uuid(), '2030-02-01');
    perform public.add_credits(v_ada, 6, 'promo_grant', gen_random_uuid(), '2030-03-01');
    perform public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid());
end $$;

select is(rendio.available_credits(u, at), credits, why)
from public.users as u, (values
    (timestamptz '2030-01-15 08:00:00+00', 17::bigint, 'all is spendable'),
    ('2030-01-31 23:59:59.999999+00', 17, 'until the microsecond before a lot ends'),
    ('2030-02-01 00:00:00+00', 16, 'then its last credit is gone: a job had drawn the other four'),
    ('2030-03-01 00:00:00+00', 10, 'and then the other lot'),
    ('2999-01-01 00:00:00+00', 10, 'what never ends stays')
) as t (at, credits, why)
where u.id = 'aaaaaaaa-0000-4000-8000-000000000001';
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    17::bigint, 'asking settles nothing'
);
do $$ begin
    perform rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', 1, 'promo_grant', null,
        '2030-02-01');
end $$;
select is(
    rendio.available_credits(u, '2030-01-20'), 17::bigint,
    'a clock that runs behind the ledger revives nothing: 10, 6 and 1'
) from public.users as u where u.id = 'aaaaaaaa-0000-4000-8000-000000000001';
do $$ begin
    perform rendio.settle_expiry('aaaaaaaa-0000-4000-8000-000000000001', '2030-03-02');
end $$;
select is(
    rendio.available_credits(u, '2030-03-02'), u.credits_remaining::bigint,
    'once it is settled, it is the balance'
) from public.users as u where u.id = 'aaaaaaaa-0000-4000-8000-000000000001';
insert into public.users (id, next_expiry_at)
values ('cccccccc-0000-4000-8000-000000000001', '2030-01-01');
select is(
    rendio.available_credits(u, '2030-03-02'), 0::bigint, 'who has no lots has nothing'
) from public.users as u where u.id = 'cccccccc-0000-4000-8000-000000000001';

select * from finish();
rollback;
