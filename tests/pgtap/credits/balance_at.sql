-- What Ada had at any time of 40 months, most of them empty.
begin;
select plan(28);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;

-- She comes on 15 January 2030 and gets 10. A credit in the last microsecond of January, one in the
-- first of February, a year and a half of nothing, then one in July 2031 and one in May 2033.
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform set_config('story.now', '2030-01-31 23:59:59.999999+00', true);
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 1, 'promo_grant',
        '11111111-0000-4000-8000-000000000001');
    perform set_config('story.now', '2030-02-01 00:00:00+00', true);
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 2, 'promo_grant',
        '11111111-0000-4000-8000-000000000002');
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 4, 'promo_grant',
        '11111111-0000-4000-8000-000000000003');
    perform set_config('story.now', '2031-07-15 12:00:00+00', true);
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 8, 'promo_grant',
        '11111111-0000-4000-8000-000000000004');
    perform set_config('story.now', '2033-05-01 00:00:00+00', true);
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -20, 'admin_adjustment',
        '11111111-0000-4000-8000-000000000005');
    perform rendio.ensure_partitions();
end $$;

create temp view moments (at, balance, why) as values
(timestamptz '-infinity', 0::bigint, 'before all time'),
('1999-12-31 23:59:59+00', 0, 'before rendio'),
('2030-01-15 07:59:59.999999+00', 0, 'the microsecond before the account'),
('2030-01-15 08:00:00+00', 10, 'at the account''s birth'),
('2030-01-31 23:59:59.999998+00', 10, 'two microseconds before the month ends'),
('2030-01-31 23:59:59.999999+00', 11, 'in January''s last microsecond'),
('2030-02-01 00:00:00+00', 17, 'with two entries in one microsecond, the later counts'),
('2030-02-15 00:00:00+00', 17, 'later in that month'),
('2030-12-24 18:00:00+00', 17, 'in a month without entries'),
('2031-07-15 11:59:59.999999+00', 17, 'a microsecond before the next entry'),
('2031-07-15 12:00:00+00', 25, 'at it'),
('2033-04-30 23:59:59.999999+00', 25, 'twenty-one months after it'),
('2033-05-01 00:00:00+00', 5, 'at the last entry, on a month''s first microsecond'),
('2033-05-02 00:00:00+00', 5, 'after it'),
('2999-01-01 00:00:00+00', 5, 'in the far future'),
('infinity', 5, 'after all time');
select is(public.balance_at('aaaaaaaa-0000-4000-8000-000000000001', m.at), m.balance, m.why)
from moments as m
order by m.at;

-- Months are UTC, wherever the session is.
set local timezone = 'Pacific/Auckland';
select is_empty(
    $$ select * from moments as m
       where public.balance_at('aaaaaaaa-0000-4000-8000-000000000001', m.at) <> m.balance $$,
    'the same in Auckland'
);
set local timezone = 'America/Los_Angeles';
set local datestyle = 'sql, dmy';
select is_empty(
    $$ select * from moments as m
       where public.balance_at('aaaaaaaa-0000-4000-8000-000000000001', m.at) <> m.balance $$,
    'and in Los Angeles'
);

set local timezone = 'UTC';
set local datestyle = iso;

-- Who may ask.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    public.balance_at('aaaaaaaa-0000-4000-8000-000000000001', '2030-02-01 00:00:00+00'),
    17::bigint, 'Ada may, for herself'
);
select throws_ok(
    $$ select public.balance_at('bbbbbbbb-0000-4000-8000-000000000001', 'infinity') $$,
    'PT403', 'not_your_account', 'Ada does not see what Ben had'
);
select throws_ok(
    $$ select public.balance_at('aaaaaaaa-0000-4000-8000-000000000001', null) $$,
    'PT400', 'invalid_argument', 'a time is required'
);
set local request.jwt.claims = '';
select throws_ok(
    $$ select public.balance_at('aaaaaaaa-0000-4000-8000-000000000001', 'infinity') $$,
    'PT401', 'not_authenticated', 'and an identity'
);
set local role anon;
select throws_ok(
    $$ select public.balance_at('aaaaaaaa-0000-4000-8000-000000000001', 'infinity') $$,
    '42501', null, 'anon may not ask'
);
set local role service_role;
select is(
    public.balance_at('bbbbbbbb-0000-4000-8000-000000000001', '2032-01-01'), 10::bigint,
    'the service sees anyone''s'
);
select throws_ok(
    $$ select public.balance_at('99999999-0000-4000-8000-000000000001', 'infinity') $$,
    'PT404', 'user_not_found', 'an unknown user had nothing and is not there'
);
select throws_ok(
    $$ select public.balance_at(null, 'infinity') $$,
    'PT400', 'invalid_argument', 'a user is required'
);
reset role;

-- A user without a single entry.
insert into public.users (id) values ('cccccccc-0000-4000-8000-000000000001');
select is(
    public.balance_at('cccccccc-0000-4000-8000-000000000001', 'infinity'), 0::bigint,
    'no entry, no credits'
);

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
