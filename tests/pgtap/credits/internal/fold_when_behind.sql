-- The lots are folded once in 500 entries.
begin;
select plan(4);

do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.add_credits(v_ada, 1000, 'promo_grant', gen_random_uuid());
    for n in 1..497 loop
        perform rendio.post_entry(v_ada, -1, 'admin_adjustment', null, rendio.clock());
    end loop;
    perform rendio.fold_when_behind(v_ada);
end $$;
create temp view ada as
select ledger_seq, lots_seq from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001';

select results_eq('select * from ada', $$ values (499::bigint, 0::bigint) $$, 'not before');
do $$ begin
    perform rendio.post_entry(
        'aaaaaaaa-0000-4000-8000-000000000001', -1, 'admin_adjustment', null, rendio.clock()
    );
    perform rendio.fold_when_behind('aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select results_eq('select * from ada', $$ values (500::bigint, 500::bigint) $$, 'but then');
select lives_ok(
    $$ select rendio.fold_when_behind('99999999-0000-4000-8000-000000000001') $$,
    'nobody has no lots'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
