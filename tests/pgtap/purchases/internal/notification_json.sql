-- A notification as it is answered: what was done then, what the buyer has now.
begin;
select plan(8);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
create function pg_temp.told(
    p_transaction_id text, p_store text default 'app_store', p_replayed boolean default false,
    p_environment text default 'Production'
) returns jsonb language plpgsql as $$
declare
    v_notification public.store_notifications;
begin
    v_notification.store := p_store;
    v_notification.environment := p_environment;
    v_notification.transaction_id := p_transaction_id;
    v_notification.action := 'revoked';
    v_notification.credits_changed := -7;
    return rendio.notification_json(v_notification, p_replayed);
end $$;
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_guest uuid := 'aaaaaaaa-0000-4000-8000-000000000002';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check(v_guest, 'ada-tablet');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', '1', 'credits_20');
    perform public.record_iap_purchase(v_guest, 'app_store', 'Production', '2', 'credits_50');
    perform rendio.claim_transaction('app_store', 'Production', '3', rendio.clock());
end $$;

select is(
    pg_temp.told('1'),
    '{"action": "revoked", "credits_changed": -7, "credits_remaining": 30, "replayed": false}',
    'about what Ada bought'
);
select is(
    pg_temp.told('1', p_replayed => true),
    '{"action": "revoked", "credits_changed": -7, "credits_remaining": 30, "replayed": true}',
    'and once more'
);
select is(
    pg_temp.told(id, store, false, environment) -> 'credits_remaining', 'null', what
)
from (values
    ('3', 'app_store', 'Production', 'a purchase that nobody has reported has no buyer'),
    ('1', 'google_play', 'Production', 'nor one of another store'),
    ('1', 'app_store', 'Sandbox', 'nor of another environment'),
    (null, 'app_store', 'Production', 'nor a notification about no purchase')
) as t (id, store, environment, what);
do $$ begin
    perform public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000001', 'ada-sub');
    perform public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000002', 'ada-sub');
end $$;
select is(
    pg_temp.told('2') -> 'credits_remaining',
    (select to_jsonb(credits_remaining) from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    'of what a guest bought it is the account''s balance'
);
do $$ begin perform public.delete_account('aaaaaaaa-0000-4000-8000-000000000001'); end $$;
select is(pg_temp.told('1') -> 'credits_remaining', '0', 'a deleted account has none');

select * from finish();
rollback;
