-- The lots that can be spent, settled or not.
begin;
set local timezone = 'UTC';
select plan(7);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits(v_ada, 3, 'promo_grant', gen_random_uuid(), '2030-02-01');
    perform public.add_credits(v_ada, 6, 'promo_grant', gen_random_uuid(), '2030-03-01');
    perform public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid());
end $$;
create function pg_temp.live(p_at timestamptz) returns table (seq bigint, remaining bigint)
language sql as $$
    select g.seq, g.remaining
    from public.users as u, rendio.live_lots(u, p_at) as g
    where u.id = 'aaaaaaaa-0000-4000-8000-000000000001'
    order by g.seq;
$$;

select results_eq(
    $$ select * from pg_temp.live('2030-01-15 08:00:00+00') $$,
    $$ values (1::bigint, 10::bigint), (3, 5) $$,
    'the job emptied the second and took one of the third'
);
select results_eq(
    $$ select * from pg_temp.live('2030-02-28 23:59:59.999999+00') $$,
    $$ values (1::bigint, 10::bigint), (3, 5) $$, 'a lot lives to the microsecond before its end'
);
select results_eq(
    $$ select * from pg_temp.live('2030-03-01 00:00:00+00') $$,
    $$ values (1::bigint, 10::bigint) $$, 'and not at it'
);
select results_eq(
    $$ select seq, remaining from public.credit_grants
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by seq $$,
    $$ values (1::bigint, 10::bigint), (2, 3), (3, 6) $$, 'asking writes nothing'
);
do $$ begin
    perform rendio.fold_lots('aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select results_eq(
    $$ select * from pg_temp.live('2030-01-15 08:00:00+00') $$,
    $$ values (1::bigint, 10::bigint), (3, 5) $$, 'folded or not, it is the same'
);
do $$ begin
    perform rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', 1, 'promo_grant', null,
        '2030-03-01');
end $$;
select results_eq(
    $$ select * from pg_temp.live('2030-01-15 08:00:00+00') $$,
    $$ values (1::bigint, 10::bigint), (6, 1) $$, 'the ledger''s time counts when it is later'
);
update public.users set ledger_seq = 0, credits_remaining = 0
where id = 'bbbbbbbb-0000-4000-8000-000000000001';
select is_empty(
    $$ select g.* from public.users as u, rendio.live_lots(u, '2030-01-15') as g
       where u.id = 'bbbbbbbb-0000-4000-8000-000000000001' $$,
    'no ledger, no lots'
);

select * from finish();
rollback;
