-- Of all that a store said about a refund, what it said last holds, in whatever order it came.
begin;
set local timezone = 'UTC';
select plan(8);

create function pg_temp.latest(
    p_store text default 'app_store', p_environment text default 'Production'
) returns text language plpgsql stable as $$
declare
    v_claim public.iap_transactions;
begin
    v_claim.store := p_store;
    v_claim.environment := p_environment;
    v_claim.transaction_id := '1';
    return (rendio.latest_revocation(v_claim)).notification_id;
end $$;
create function pg_temp.say(
    p_id text, p_at timestamptz, p_share integer, p_store text default 'app_store',
    p_environment text default 'Production', p_transaction_id text default '1'
) returns void language sql as $$
    insert into public.store_notifications (store, environment, notification_id, type,
        transaction_id, payload, occurred_at, received_at, revoked_share, action)
    values (p_store, p_environment, p_id, 'T', p_transaction_id, '{}', p_at, '2030-01-20', p_share,
        'waiting');
$$;

select is(pg_temp.latest(), null, 'nothing was said');
do $$ begin
    perform pg_temp.say('question', '2030-01-16', null);
    perform pg_temp.say('other purchase', '2030-01-16', 100000, p_transaction_id => '2');
    perform pg_temp.say('other environment', '2030-01-17', 100000, p_environment => 'Sandbox');
    perform pg_temp.say('other store', '2030-01-18', 100000, p_store => 'google_play');
end $$;
select is(pg_temp.latest(), null, 'nothing about a refund of this one');
select is(pg_temp.latest('app_store', 'Sandbox'), 'other environment', 'the sandbox has its own');
select is(pg_temp.latest('google_play', 'Production'), 'other store', 'and each store');

do $$ begin perform pg_temp.say('b', '2030-01-12', 100000); end $$;
select is(pg_temp.latest(), 'b', 'a refund');
do $$ begin perform pg_temp.say('z', '2030-01-11', 50000); end $$;
select is(pg_temp.latest(), 'b', 'an earlier one that comes later changes nothing');
do $$ begin perform pg_temp.say('a', '2030-01-12 00:00:00.000001+00', 0); end $$;
select is(pg_temp.latest(), 'a', 'its reversal, a microsecond later');
do $$ begin
    perform pg_temp.say('c', '2030-01-12 00:00:00.000001+00', 100000);
    perform pg_temp.say('0', '2030-01-12 00:00:00.000001+00', 100000);
end $$;
select is(pg_temp.latest(), 'c', 'of one moment the greater id');

select * from finish();
rollback;
