-- Ada's statements: what a period began with, every change, what it ended with.
begin;
set local timezone = 'UTC';
select plan(39);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;

-- 10 on 15 January 2030; a credit in that month's last microsecond, three entries in the first of
-- February, one in March, nothing until July, one at its first microsecond.
set local story.now = '2030-01-15 08:00:00+00';
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform set_config('story.now', '2030-01-31 23:59:59.999999+00', true);
    perform public.add_credits(v_ada, 1, 'promo_grant', gen_random_uuid());
    perform set_config('story.now', '2030-02-01 00:00:00+00', true);
    perform public.add_credits(v_ada, 2, 'promo_grant', gen_random_uuid());
    perform public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid());
    perform public.add_credits(v_ada, 8, 'promo_grant', gen_random_uuid());
    perform set_config('story.now', '2030-03-10 12:00:00+00', true);
    perform public.add_credits(v_ada, -5, 'admin_adjustment', gen_random_uuid());
    perform set_config('story.now', '2030-07-01 00:00:00+00', true);
    perform public.add_credits(v_ada, 16, 'promo_grant', gen_random_uuid());
    perform rendio.ensure_partitions();
end $$;

-- Opening and closing balance, and the entries between them.
create function pg_temp.statement(
    p_from timestamptz, p_to timestamptz, p_limit integer default 100
) returns text language plpgsql as $$
declare
    v_page jsonb;
    v_opening text;
    v_closing text;
    v_entries text := '';
begin
    loop
        v_page := public.get_credit_statement(
            'aaaaaaaa-0000-4000-8000-000000000001',
            p_from,
            p_to,
            (v_page ->> 'next_before_at')::timestamptz,
            p_limit,
            (v_page ->> 'next_before_seq')::bigint
        );
        if v_opening <> v_page ->> 'opening_balance' or v_closing <> v_page ->> 'closing_balance'
        then
            return 'the balances differ from page to page';
        end if;
        v_opening := v_page ->> 'opening_balance';
        v_closing := v_page ->> 'closing_balance';
        v_entries := v_entries || coalesce((
            select string_agg(' ' || (e ->> 'seq') || ':' || (e ->> 'change'), '' order by n)
            from jsonb_array_elements(v_page -> 'entries') with ordinality as t (e, n)
        ), '');
        exit when v_page ->> 'next_before_seq' is null;
    end loop;
    return v_opening || ' ->' || v_entries || ' -> ' || v_closing;
end $$;

create temp view periods (p_from, p_to, statement, why) as values
(timestamptz '2030-01-01 00:00:00+00', timestamptz '2030-02-01 00:00:00+00',
 '0 -> 2:1 1:10 -> 11', 'January, with its last microsecond'),
('2030-02-01 00:00:00+00', '2030-03-01 00:00:00+00', '11 -> 5:8 4:-4 3:2 -> 17',
 'February, with its first'),
('2030-03-01 00:00:00+00', '2030-04-01 00:00:00+00', '17 -> 6:-5 -> 12', 'March'),
('2030-04-01 00:00:00+00', '2030-07-01 00:00:00+00', '12 -> -> 12', 'three months of nothing'),
('2030-07-01 00:00:00+00', '2030-08-01 00:00:00+00', '12 -> 7:16 -> 28', 'July'),
('2030-01-01 00:00:00+00', '2031-01-01 00:00:00+00',
 '0 -> 7:16 6:-5 5:8 4:-4 3:2 2:1 1:10 -> 28', 'the year'),
('2030-01-20 00:00:00+00', '2030-07-01 00:00:00+00', '10 -> 6:-5 5:8 4:-4 3:2 2:1 -> 12',
 'any period'),
('2030-01-15 08:00:00+00', '2030-01-15 08:00:00.000001+00', '0 -> 1:10 -> 10', 'one microsecond'),
('2030-01-15 08:00:00+00', '2030-01-15 08:00:00+00', '0 -> -> 0', 'no time at all'),
('2030-02-01 00:00:00+00', '2030-02-01 00:00:00+00', '11 -> -> 11',
 'no time at all, at a time with entries'),
('1999-01-01 00:00:00+00', '2000-01-01 00:00:00+00', '0 -> -> 0', 'before the account'),
('2040-01-01 00:00:00+00', '2050-01-01 00:00:00+00', '28 -> -> 28', 'after the last entry'),
('epoch', '294276-12-31 23:59:59.999999+00',
 '0 -> 7:16 6:-5 5:8 4:-4 3:2 2:1 1:10 -> 28', 'for as long as there is time');
select is(pg_temp.statement(p_from, p_to), statement, why) from periods order by p_from, p_to;
select is_empty(
    format($$ select * from periods where pg_temp.statement(p_from, p_to, %s) <> statement $$, n),
    format('the same on pages of %s', n)
)
from (values (1), (2), (3), (7)) as pages (n);
set local timezone = 'Pacific/Auckland';
set local datestyle = 'sql, dmy';
select is_empty(
    $$ select * from periods where pg_temp.statement(p_from, p_to, 2) <> statement $$,
    'and in Auckland'
);
set local timezone = 'UTC';
set local datestyle = iso;

-- What a page says.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    public.get_credit_statement('aaaaaaaa-0000-4000-8000-000000000001', '2030-02-01', '2030-03-01',
        p_limit => 1),
    '{"opening_balance": 11, "closing_balance": 17,
      "entries": [{"seq": 5, "change": 8, "reason": "promo_grant", "balance_after": 17,
                   "job_id": null, "created_at": "2030-02-01T00:00:00+00:00"}],
      "next_before_at": "2030-02-01T00:00:00+00:00", "next_before_seq": 5}',
    'the page in full, and where the next begins'
);
select is(
    public.get_credit_statement('aaaaaaaa-0000-4000-8000-000000000001', '2030-02-01', '2030-03-01',
        '2030-02-01 00:00:00+00', 20, 4) - 'entries',
    '{"opening_balance": 11, "closing_balance": 17, "next_before_at": null,
      "next_before_seq": null}',
    'the last page says that there is none'
);
select results_eq(
    $$ select e ->> 'reason', e ->> 'job_id' = j.job_id::text
       from public.video_jobs as j,
           jsonb_array_elements(public.get_credit_statement(j.user_id, '2030-02-01', '2030-03-01',
               '2030-02-01', 1, 5) -> 'entries') as e $$,
    $$ values ('video_generation', true) $$, 'a charge names its job'
);
select is(
    (select jsonb_agg(e -> 'seq') from jsonb_array_elements(public.get_credit_statement(
        'aaaaaaaa-0000-4000-8000-000000000001', '2030-01-01', '2031-01-01',
        '2030-02-28 00:00:00+00') -> 'entries') as e),
    '[5, 4, 3, 2, 1]', 'a time alone begins at or before it'
);
select is(
    (select jsonb_agg(e -> 'seq') from jsonb_array_elements(public.get_credit_statement(
        'aaaaaaaa-0000-4000-8000-000000000001', '2030-01-01', '2031-01-01', p_before_seq => 3)
        -> 'entries') as e),
    '[2, 1]', 'a number alone below it'
);
select is(
    (select jsonb_agg(e -> 'seq') from jsonb_array_elements(public.get_credit_statement(
        'aaaaaaaa-0000-4000-8000-000000000001', '2030-03-01', '2030-04-01', 'infinity', 20, 1000)
        -> 'entries') as e),
    '[6]', 'neither leads out of the period'
);
select is(
    public.get_credit_statement('aaaaaaaa-0000-4000-8000-000000000001', '2030-03-01', '2030-04-01',
        '-infinity') -> 'entries',
    '[]', 'nothing is before all time'
);

-- What it refuses.
select throws_ok(
    format($$ select public.get_credit_statement('aaaaaaaa-0000-4000-8000-000000000001', %L, %L,
        p_limit => %s) $$, p_from, p_to, n),
    'PT400', 'invalid_argument', why
)
from (values
    (null, '2030-01-01', 20, 'a beginning is required'),
    ('2030-01-01', null, 20, 'and an end'),
    ('2030-01-02', '2030-01-01', 20, 'not before the beginning'),
    ('-infinity', '2030-01-01', 20, 'periods are finite'),
    ('2030-01-01', 'infinity', 20, 'at both ends'),
    ('2030-01-01', '2030-02-01', 0, 'a page has an entry'),
    ('2030-01-01', '2030-02-01', 101, 'and at most a hundred')
) as t (p_from, p_to, n, why);

-- Who may ask.
select throws_ok(
    $$ select public.get_credit_statement('bbbbbbbb-0000-4000-8000-000000000001', '2030-01-01',
       '2030-02-01') $$,
    'PT403', 'not_your_account', 'Ben''s is not hers to see'
);
set local request.jwt.claims = '';
select throws_ok(
    $$ select public.get_credit_statement('aaaaaaaa-0000-4000-8000-000000000001', '2030-01-01',
       '2030-02-01') $$,
    'PT401', 'not_authenticated', 'an identity is required'
);
set local role anon;
select throws_ok(
    $$ select public.get_credit_statement('aaaaaaaa-0000-4000-8000-000000000001', '2030-01-01',
       '2030-02-01') $$,
    '42501', null, 'anon may not ask'
);
set local role service_role;
select is(
    public.get_credit_statement('bbbbbbbb-0000-4000-8000-000000000001', '2030-01-01', '2030-02-01')
        -> 'closing_balance',
    '10', 'the service sees anyone''s'
);
select throws_ok(
    $$ select public.get_credit_statement('99999999-0000-4000-8000-000000000001', '2030-01-01',
       '2030-02-01') $$,
    'PT404', 'user_not_found', 'but not nobody''s'
);
select throws_ok(
    $$ select public.get_credit_statement(null, '2030-01-01', '2030-02-01') $$,
    'PT400', 'invalid_argument', 'and must say whose'
);
reset role;

-- A user without a single entry.
insert into public.users (id) values ('cccccccc-0000-4000-8000-000000000001');
select is(
    public.get_credit_statement('cccccccc-0000-4000-8000-000000000001', '2030-01-01', '2031-01-01'),
    '{"opening_balance": 0, "closing_balance": 0, "entries": [], "next_before_at": null,
      "next_before_seq": null}',
    'no entry, an empty statement'
);

select * from finish();
rollback;
