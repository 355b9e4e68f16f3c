-- A store's transaction has one row, for ever, whoever names it first.
begin;
select plan(10);

create function pg_temp.rows_written_by(p_call text) returns bigint language plpgsql as $$
declare
    v_before bigint;
    v_after bigint;
begin
    select sum(n_tup_ins + n_tup_upd + n_tup_del) into v_before
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    execute p_call;
    select sum(n_tup_ins + n_tup_upd + n_tup_del) into v_after
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    return v_after - v_before;
end $$;
-- A lock leaves its mark in xmax.
create temp view held as select transaction_id from public.iap_transactions where xmax <> 0;

select results_eq(
    $$ select store, environment, transaction_id, user_id, product_id, quantity, credits_added,
           ledger_seq, purchased_at, created_at
       from rendio.claim_transaction('app_store', 'Production', '1', '2030-01-15') $$,
    $$ values ('app_store', 'Production', '1', null::uuid, null::text, 1, 0, null::bigint,
        null::timestamptz, timestamptz '2030-01-15') $$,
    'a new one has no buyer'
);
select results_eq(
    $$ select transaction_id, created_at from public.iap_transactions $$,
    $$ values ('1', timestamptz '2030-01-15') $$, 'it is there now'
);

-- Ada buys; the store speaks of it again.
update public.iap_transactions
set user_id = 'aaaaaaaa-0000-4000-8000-000000000001', product_id = 'credits_20', credits_added = 20,
    ledger_seq = 2, purchased_at = '2030-01-14';
select is_empty('select * from held', 'so far nobody holds it');
select results_eq(
    $$ select transaction_id, user_id, credits_added, created_at
       from rendio.claim_transaction('app_store', 'Production', '1', '2031-01-15') $$,
    $$ values ('1', 'aaaaaaaa-0000-4000-8000-000000000001'::uuid, 20,
        timestamptz '2030-01-15') $$,
    'an old one is what it was'
);
select isnt_empty('select * from held', 'and held');
select is(
    pg_temp.rows_written_by($$ select rendio.claim_transaction('app_store', 'Production', '1',
        '2032-01-15') $$),
    0::bigint, 'to claim it again writes nothing'
);

-- The same number elsewhere is another.
select is(
    (rendio.claim_transaction(store, environment, transaction_id, '2030-01-15')).user_id, null,
    format('%s, %s, %s', store, environment, transaction_id)
)
from (values
    ('app_store', 'Sandbox', '1'), ('google_play', 'Production', '1'),
    ('app_store', 'Production', '2')
) as t (store, environment, transaction_id);
select is(
    (rendio.claim_transaction('app_store', 'Production', '1', '2033-01-15')).user_id,
    'aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'and Ada''s is still hers'
);

select * from finish();
rollback;
