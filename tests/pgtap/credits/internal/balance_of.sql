-- What a call answers that somebody has: what can be spent, wherever it is now.
begin;
select plan(4);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'promo_grant',
        gen_random_uuid(), '2030-01-16');
end $$;
select is(rendio.balance_of('aaaaaaaa-0000-4000-8000-000000000001'), 15::bigint, 'all she has');
create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-16 00:00:00+00'; end;
select is(
    rendio.balance_of('aaaaaaaa-0000-4000-8000-000000000001'), 10::bigint,
    'without what has expired, settled or not'
);
update public.users set merged_into = 'aaaaaaaa-0000-4000-8000-000000000001'
where id = 'bbbbbbbb-0000-4000-8000-000000000001';
select is(
    rendio.balance_of('bbbbbbbb-0000-4000-8000-000000000001'), 10::bigint,
    'a merged guest has what its account has'
);
select is(rendio.balance_of('eeeeeeee-0000-4000-8000-000000000001'), null, 'nobody has nothing');

select * from finish();
rollback;
