-- Ada pages through 40 months of her ledger.
begin;
set local timezone = 'UTC';
select plan(35);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;

-- Entry 1 is the grant. Then in two months out of five up to three entries each, on the month's
-- first and last microsecond too: 41 months, 16 of them with entries.
set local story.now = '2030-01-01 00:00:00+00';
do $$
declare
    v_month timestamp;
begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    for n in 1..40 loop
        continue when n % 5 not in (1, 2);
        v_month := timestamp '2030-01-01' + n * interval '1 month';
        for k in 0..n % 3 loop
            perform set_config('story.now', (case k
                when 0 then v_month
                when 1 then v_month + interval '13 days'
                else v_month + interval '1 month' - interval '1 microsecond'
            end at time zone 'UTC')::text, true);
            perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', n, 'promo_grant',
                gen_random_uuid());
        end loop;
    end loop;
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null,
        '11111111-0000-4000-8000-000000000001');
    perform rendio.ensure_partitions();
end $$;

create function pg_temp.whole_history(p_limit integer, p_with_time boolean) returns bigint[]
language plpgsql as $$
declare
    v_page jsonb;
    v_seqs bigint[] := '{}';
begin
    loop
        v_page := public.get_credit_history(
            'aaaaaaaa-0000-4000-8000-000000000001',
            (v_page ->> 'next_before_seq')::bigint,
            p_limit,
            case when p_with_time then (v_page ->> 'next_before_at')::timestamptz end
        );
        v_seqs := v_seqs || array(
            select (e ->> 'seq')::bigint
            from jsonb_array_elements(v_page -> 'entries') with ordinality as t (e, n) order by n
        );
        exit when v_page ->> 'next_before_seq' is null;
    end loop;
    return v_seqs;
end $$;

select is(
    pg_temp.whole_history(p_limit, p_with_time),
    array(
        select seq from public.quota_log where user_id = 'aaaaaaaa-0000-4000-8000-000000000001'
        order by seq desc
    ),
    format('pages of %s give every entry once, newest first%s', p_limit,
        case when p_with_time then ', with the time too' else '' end)
)
from unnest(array[1, 2, 7, 100]) as p_limit, unnest(array[false, true]) as p_with_time;

set local timezone = 'Pacific/Auckland';
select is(
    pg_temp.whole_history(3, true), pg_temp.whole_history(100, false),
    'wherever the session is'
);
set local timezone = 'UTC';

-- One page in full.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    public.get_credit_history('aaaaaaaa-0000-4000-8000-000000000001', 3, 2),
    '{"entries": [
        {"seq": 2, "change": 1, "reason": "promo_grant", "balance_after": 11, "job_id": null,
         "created_at": "2030-02-01T00:00:00+00:00"},
        {"seq": 1, "change": 10, "reason": "initial_grant", "balance_after": 10, "job_id": null,
         "created_at": "2030-01-01T00:00:00+00:00"}],
      "next_before_seq": null, "next_before_at": null}',
    'the last page, key by key'
);
select is(
    public.get_credit_history('aaaaaaaa-0000-4000-8000-000000000001', p_limit => 1)
    #> '{entries,0}' ->> 'job_id',
    (select job_id::text from public.video_jobs), 'the newest entry names its job'
);
select is(
    public.get_credit_history('aaaaaaaa-0000-4000-8000-000000000001', 4, 2)
    - 'entries',
    '{"next_before_seq": 2, "next_before_at": "2030-02-01T00:00:00+00:00"}',
    'a page that is not the last says where the next begins'
);
select is(
    jsonb_array_length(
        public.get_credit_history('aaaaaaaa-0000-4000-8000-000000000001') -> 'entries'
    ),
    20, 'a page has 20 entries when nothing is said'
);
select is(
    public.get_credit_history('aaaaaaaa-0000-4000-8000-000000000001', null, 1,
        '2030-02-28 23:59:59+00') #>> '{entries,0,seq}',
    '3', 'a time alone begins there'
);
select is(
    public.get_credit_history('aaaaaaaa-0000-4000-8000-000000000001', seq, 20, at),
    '{"entries": [], "next_before_seq": null, "next_before_at": null}',
    format('before %s and %s there is nothing', seq, at)
)
from (
    values (1::bigint, null::timestamptz), (0, null), (-9223372036854775808, null),
    (null, '-infinity'), (null, '2029-12-31 23:59:59+00')
) as t (seq, at);
select is(
    public.get_credit_history('aaaaaaaa-0000-4000-8000-000000000001', seq, 1, at)
    #>> '{entries,0,reason}',
    'video_generation', format('before %s and %s is the newest entry', seq, at)
)
from (
    values (9223372036854775807::bigint, null::timestamptz), (null, 'infinity'),
    (9223372036854775807, 'infinity')
) as t (seq, at);

-- Limits and access.
select throws_ok(
    format($$ select public.get_credit_history('aaaaaaaa-0000-4000-8000-000000000001', null, %L) $$,
        p_limit),
    'PT400', 'invalid_argument', format('a page of %s is refused', coalesce(p_limit::text, 'null'))
)
from unnest(array[0, -1, 101, null, 2147483647]) as p_limit;
select throws_ok(
    $$ select public.get_credit_history('bbbbbbbb-0000-4000-8000-000000000001') $$,
    'PT403', 'not_your_account', 'Ben''s history is his'
);
set local request.jwt.claims = '';
select throws_ok(
    $$ select public.get_credit_history('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT401', 'not_authenticated', 'without an identity there is none'
);
set local role anon;
select throws_ok(
    $$ select public.get_credit_history('aaaaaaaa-0000-4000-8000-000000000001') $$,
    '42501', null, 'anon may not ask'
);
set local role service_role;
select is(
    jsonb_array_length(
        public.get_credit_history('bbbbbbbb-0000-4000-8000-000000000001') -> 'entries'
    ),
    1, 'the service sees anyone''s'
);
select throws_ok(
    $$ select public.get_credit_history('99999999-0000-4000-8000-000000000001') $$,
    'PT404', 'user_not_found', 'an unknown user has none'
);
select throws_ok(
    $$ select public.get_credit_history(null) $$,
    'PT400', 'invalid_argument', 'a user is required'
);
reset role;

-- A user without a single entry.
insert into public.users (id) values ('cccccccc-0000-4000-8000-000000000001');
select is(
    public.get_credit_history('cccccccc-0000-4000-8000-000000000001'),
    '{"entries": [], "next_before_seq": null, "next_before_at": null}', 'no entry, no page'
);

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
