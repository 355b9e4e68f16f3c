-- A refund goes back to where the charge came from, the last drawn first; to a lot that has expired
-- meanwhile it does not.
begin;
set local timezone = 'UTC';
select plan(12);

create function pg_temp.lot(
    p_seq bigint, p_kind text, p_expires_at timestamptz, p_remaining bigint,
    p_is_sandbox boolean default false
) returns public.credit_grants language sql as $$
    select jsonb_populate_record(null::public.credit_grants, jsonb_build_object('seq', p_seq,
        'n', 1, 'priority', case p_kind when 'paid' then 20 else 10 end, 'kind', p_kind,
        'is_sandbox', p_is_sandbox, 'amount', 10, 'remaining', p_remaining,
        'expires_at', p_expires_at, 'created_at', '2030-01-01',
        'origin', format('cccccccc-0000-4000-8000-00000000000%s', p_seq)));
$$;
create function pg_temp.draw(p_job_id uuid, p_n integer, p_lot_seq bigint, p_credits bigint)
returns public.credit_draws language sql as $$
    select row('aaaaaaaa-0000-4000-8000-000000000001', p_job_id, p_n, p_lot_seq, 1,
        p_credits)::public.credit_draws;
$$;
create function pg_temp.refund(
    p_state rendio.lot_state, p_job_id uuid, p_credits bigint, p_at timestamptz
)
returns rendio.lot_state language plpgsql as $$
declare
    v_entry public.quota_log;
begin
    v_entry.user_id := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_entry.seq := 9;
    v_entry.created_at := p_at;
    v_entry.change := p_credits;
    v_entry.job_id := p_job_id;
    return rendio.return_to_lots(p_state, v_entry);
end $$;

-- Job 1 took 4 credits from a promotional lot that ends on 1 February, 3 from one that ends on 1
-- March and 2 from a paid one; job 2 took 1 from that.
create temp table story as
select row(array[
    pg_temp.lot(1, 'promotional', '2030-02-01 00:00:00+00', 0),
    pg_temp.lot(2, 'promotional', '2030-03-01 00:00:00+00', 0, true),
    pg_temp.lot(3, 'paid', 'infinity', 7)
], array[
    pg_temp.draw('dddddddd-0000-4000-8000-000000000001', 1, 1, 4),
    pg_temp.draw('dddddddd-0000-4000-8000-000000000001', 2, 2, 3),
    pg_temp.draw('dddddddd-0000-4000-8000-000000000001', 3, 3, 2),
    pg_temp.draw('dddddddd-0000-4000-8000-000000000002', 1, 3, 1)
])::rendio.lot_state as state;

-- A part comes back in January.
create temp table after_part as
select pg_temp.refund(state, 'dddddddd-0000-4000-8000-000000000001', 3, '2030-01-20') as state
from story;
select results_eq(
    $$ select g.seq, g.remaining from after_part, unnest((state).lots) as g order by g.seq $$,
    $$ values (1::bigint, 0::bigint), (2, 1), (3, 9) $$, 'first to the lot that was drawn last'
);
select results_eq(
    $$ select d.job_id, d.n, d.lot_seq, d.credits from after_part, unnest((state).draws) as d
       order by d.job_id, d.n $$,
    $$ values ('dddddddd-0000-4000-8000-000000000001'::uuid, 1::smallint, 1::bigint, 4::bigint),
       ('dddddddd-0000-4000-8000-000000000001', 2::smallint, 2, 2),
       ('dddddddd-0000-4000-8000-000000000002', 1::smallint, 3, 1) $$,
    'the job holds the rest, and the other job its own'
);
select results_eq(
    $$ select g.seq, g.remaining
       from after_part, unnest((pg_temp.refund(state, 'dddddddd-0000-4000-8000-000000000001', 6,
           '2030-01-31 23:59:59.999999+00')).lots) as g
       order by g.seq $$,
    $$ values (1::bigint, 4::bigint), (2, 3), (3, 9) $$,
    'the rest, a microsecond before the first lot ends, goes back whole'
);

-- All of it on 1 February, when the first lot has just ended.
create temp table after_one as
select pg_temp.refund(state, 'dddddddd-0000-4000-8000-000000000001', 9, '2030-02-01') as state
from story;
select results_eq(
    $$ select g.seq, g.n, g.kind, g.priority, g.is_sandbox, g.amount, g.remaining, g.expires_at,
           g.created_at
       from after_one, unnest((state).lots) as g order by g.seq $$,
    $$ values (1::bigint, 1::smallint, 'promotional', 10::smallint, false, 10::bigint, 0::bigint,
        timestamptz '2030-02-01', timestamptz '2030-01-01'),
       (2, 1::smallint, 'promotional', 10::smallint, true, 10, 3, '2030-03-01', '2030-01-01'),
       (3, 1::smallint, 'paid', 20::smallint, false, 10, 9, 'infinity', '2030-01-01'),
       (9, 1::smallint, 'promotional', 10::smallint, false, 4, 4, '2030-02-08', '2030-02-01') $$,
    'its piece opens a lot of the same kind, at the refund''s number, that lives a week'
);
select is(
    (select g.origin from after_one, unnest((state).lots) as g where g.seq = 9),
    'cccccccc-0000-4000-8000-000000000001'::uuid, 'and is known to have come from the same grant'
);
select results_eq(
    $$ select d.job_id from after_one, unnest((state).draws) as d $$,
    $$ values ('dddddddd-0000-4000-8000-000000000002'::uuid) $$, 'the job holds nothing any more'
);

-- In March two have ended.
select results_eq(
    $$ select g.seq, g.n, g.amount, g.remaining, g.is_sandbox
       from story, unnest((pg_temp.refund(state, 'dddddddd-0000-4000-8000-000000000001', 9,
           '2030-03-01')).lots) as g
       where g.seq = 9 order by g.n $$,
    $$ values (9::bigint, 1::smallint, 3::bigint, 3::bigint, true), (9, 2::smallint, 4, 4, false) $$,
    'each piece opens its own, the sandbox''s still one'
);
select is(
    (select sum(g.remaining) from story, unnest((pg_temp.refund(state,
        'dddddddd-0000-4000-8000-000000000001', 9, '2030-03-01')).lots) as g),
    16::numeric, 'no credit is lost on the way'
);

-- Two refunds of one job, the lots ending between them.
update story set state = row(array[
    pg_temp.lot(1, 'promotional', '2030-02-01 00:00:00+00', 0)
], array[
    pg_temp.draw('dddddddd-0000-4000-8000-000000000001', 1, 1, 4)
])::rendio.lot_state;
update story
set state = pg_temp.refund(state, 'dddddddd-0000-4000-8000-000000000001', 1, '2030-01-31');
update story
set state = pg_temp.refund(state, 'dddddddd-0000-4000-8000-000000000001', 3, '2030-02-01');
select results_eq(
    $$ select g.seq, g.remaining from story, unnest((state).lots) as g order by g.seq $$,
    $$ values (1::bigint, 1::bigint), (9, 3) $$, 'each refund is judged at its own time'
);
select is(
    (select (state).draws from story), '{}'::public.credit_draws [], 'together they are all'
);
update story
set state = pg_temp.refund(state, 'dddddddd-0000-4000-8000-000000000001', 1, '2030-02-01');
select results_eq(
    $$ select g.seq, g.remaining from story, unnest((state).lots) as g order by g.seq $$,
    $$ values (1::bigint, 1::bigint), (9, 3) $$, 'a job that holds nothing brings nothing back'
);
select is(
    (select array_agg(g.amount order by g.seq) from story, unnest((state).lots) as g),
    '{10,3}'::bigint [], 'what a lot held at first is never rewritten'
);

select * from finish();
rollback;
