-- Only a user with an expired lot may get refunded credits that expire.
begin;
set local timezone = 'UTC';
select plan(4);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
end $$;
update public.credit_grants set expires_at = '2030-02-01 00:00:00+00'
where user_id = 'aaaaaaaa-0000-4000-8000-000000000001';

select is(
    rendio.refund_expiry('aaaaaaaa-0000-4000-8000-000000000001', '2030-01-31 23:59:59.999999+00'),
    null::timestamptz, 'none of Ada''s lots has expired yet'
);
select is(
    rendio.refund_expiry('aaaaaaaa-0000-4000-8000-000000000001', '2030-02-01 00:00:00+00'),
    '2030-02-08 00:00:00+00'::timestamptz, 'one has: a week from the refund'
);
update public.credit_grants set remaining = 0;
select is(
    rendio.refund_expiry('aaaaaaaa-0000-4000-8000-000000000001', '2030-03-01 00:00:00+00'),
    '2030-03-08 00:00:00+00'::timestamptz, 'also when it was empty: a job may have drawn from it'
);
select is(
    rendio.refund_expiry('bbbbbbbb-0000-4000-8000-000000000001', '2030-03-01 00:00:00+00'),
    null::timestamptz, 'Ben''s lots do not expire'
);

select * from finish();
rollback;
