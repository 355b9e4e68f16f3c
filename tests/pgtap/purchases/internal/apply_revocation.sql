-- A refund, or its reversal, is done unless a later one came before it.
begin;
set local timezone = 'UTC';
select plan(17);

create function pg_temp.apply(p_id text, p_transaction_id text, p_share integer, p_at timestamptz)
returns text language plpgsql as $$
declare
    v_notification public.store_notifications;
begin
    insert into public.store_notifications (store, environment, notification_id, type,
        transaction_id, payload, occurred_at, received_at, revoked_share, action)
    values ('app_store', 'Production', p_id, 'REFUND', p_transaction_id, '{}', p_at, p_at, p_share,
        'waiting')
    returning * into v_notification;
    v_notification := rendio.apply_revocation(
        v_notification,
        rendio.claim_transaction('app_store', 'Production', p_transaction_id, '2030-01-15'),
        '2030-02-01 08:00:00+00'
    );
    return format('%s %s %s', v_notification.notification_id, v_notification.action,
        v_notification.credits_changed);
end $$;
create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
        'Production', 't1', 'credits_20');
end $$;

-- Ada's purchase.
select is(
    pg_temp.apply('a', 't1', null, '2030-01-20'), 'a ignored 0',
    'what does not say how much does nothing'
);
select is(pg_temp.apply('b', 't1', 50000, '2030-01-15'), 'b revoked -10', 'the half');
select is(pg_temp.apply('c', 't1', 100000, '2030-01-13'), 'c outdated 0', 'what it said before');
select is(pg_temp.apply('d', 't1', 100000, '2030-01-17'), 'd revoked -10', 'all');
select is(pg_temp.apply('e', 't1', 0, '2030-01-16'), 'e outdated 0', 'an old reversal');
select is(
    pg_temp.apply('f', 't1', 100000, '2030-01-18'), 'f revoked 0', 'all again is nothing more'
);
select is(
    pg_temp.apply('g', 't1', 75000, '2030-01-19'), 'g revoked 5', 'a smaller refund gives back'
);
select is(pg_temp.apply('h', 't1', 0, '2030-01-20'), 'h reversed 15', 'a reversal all the rest');
select is(pg_temp.apply('i', 't1', 0, '2030-01-21'), 'i reversed 0', 'which it does once');
select is(
    pg_temp.apply('z', 't1', 100000, '2030-01-22'), 'z revoked -20', 'of two of one moment'
);
select is(
    pg_temp.apply('y', 't1', 0, '2030-01-22'), 'y outdated 0', 'the greater id holds'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    10::bigint, 'Ada has what she was given'
);
select results_eq(
    $$ select distinct created_at from public.quota_log where reason <> 'initial_grant'
           and reason <> 'iap_purchase' $$,
    $$ values (timestamptz '2030-02-01 08:00:00+00') $$,
    'entries are of the day on which it is done'
);

-- Nobody has reported t2.
select is(
    pg_temp.apply('j', 't2', 100000, '2030-01-20'), 'j waiting 0', 'a refund waits for the buyer'
);
select is(pg_temp.apply('k', 't2', 0, '2030-01-19'), 'k outdated 0', 'an older one does not');
select is(
    public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Production',
        't2', 'credits_20'),
    '{"credits_added": 20, "credits_remaining": 10, "replayed": false}',
    'who comes too late'
);

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
