-- Which lots pay: by priority, then what expires first, then promotional before paid, then the
-- older.
begin;
select plan(8);

create function pg_temp.lot(
    p_seq bigint, p_n integer, p_priority integer, p_kind text, p_expires_at timestamptz,
    p_remaining bigint
) returns public.credit_grants language sql as $$
    select jsonb_populate_record(null::public.credit_grants, jsonb_build_object('seq', p_seq,
        'n', p_n, 'priority', p_priority, 'kind', p_kind, 'expires_at', p_expires_at,
        'amount', 10, 'remaining', p_remaining));
$$;
create function pg_temp.draw(p_state rendio.lot_state, p_credits bigint, p_job_id uuid)
returns rendio.lot_state language plpgsql as $$
declare
    v_entry public.quota_log;
begin
    v_entry.user_id := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_entry.change := -p_credits;
    v_entry.job_id := p_job_id;
    return rendio.draw_lots(p_state, v_entry);
end $$;

-- Seven lots of one credit, in no order.
create temp table story as
select row(array[
    pg_temp.lot(1, 1, 20, 'paid', 'infinity', 1),
    pg_temp.lot(2, 2, 20, 'paid', '2030-04-01', 1),
    pg_temp.lot(2, 1, 20, 'paid', '2030-04-01', 1),
    pg_temp.lot(8, 1, 10, 'promotional', 'infinity', 1),
    pg_temp.lot(3, 1, 20, 'paid', '2030-04-01', 1),
    pg_temp.lot(7, 1, 20, 'paid', '2030-03-01', 1),
    pg_temp.lot(6, 1, 20, 'promotional', '2030-04-01', 1)
], null)::rendio.lot_state as state;
select results_eq(
    $$ select d.n, d.lot_seq, d.lot_n, d.credits
       from story, unnest((pg_temp.draw(state, 7, 'dddddddd-0000-4000-8000-000000000001')).draws)
           as d
       order by d.n $$,
    -- Priority before expiry, expiry before kind, promotional before paid, then by seq and n.
    $$ values (1::smallint, 8::bigint, 1::smallint, 1::bigint),
       (2::smallint, 7, 1::smallint, 1), (3::smallint, 6, 1::smallint, 1),
       (4::smallint, 2, 1::smallint, 1), (5::smallint, 2, 2::smallint, 1),
       (6::smallint, 3, 1::smallint, 1), (7::smallint, 1, 1::smallint, 1) $$,
    'the order'
);
select results_eq(
    $$ select g.seq, g.n from story, unnest((pg_temp.draw(state, 3, null)).lots) as g
       where g.remaining > 0 order by g.seq, g.n $$,
    $$ values (1::bigint, 1::smallint), (2, 1::smallint), (2, 2::smallint), (3, 1::smallint) $$,
    'a debit that is no job''s draws in the same order'
);
select is(
    (select (pg_temp.draw(state, 3, null)).draws from story), null::public.credit_draws [],
    'and nobody notes from where: it is never refunded'
);

-- One lot does not suffice, the first is empty.
update story set state = row(array[
    pg_temp.lot(1, 1, 10, 'promotional', 'infinity', 0),
    pg_temp.lot(2, 1, 10, 'promotional', 'infinity', 5),
    pg_temp.lot(3, 1, 20, 'paid', 'infinity', 10)
], null)::rendio.lot_state;
update story set state = pg_temp.draw(state, 7, 'dddddddd-0000-4000-8000-000000000001');
select results_eq(
    $$ select g.seq, g.amount, g.remaining from story, unnest((state).lots) as g order by g.seq $$,
    $$ values (1::bigint, 10::bigint, 0::bigint), (2, 10, 0), (3, 10, 8) $$,
    'the second lot is emptied, the third pays the rest; amounts stay'
);
select results_eq(
    $$ select d.user_id, d.job_id, d.n, d.lot_seq, d.credits
       from story, unnest((state).draws) as d order by d.n $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid,
        'dddddddd-0000-4000-8000-000000000001'::uuid, 1::smallint, 2::bigint, 5::bigint),
       ('aaaaaaaa-0000-4000-8000-000000000001', 'dddddddd-0000-4000-8000-000000000001',
        2::smallint, 3, 2) $$,
    'an empty lot has no part in it'
);
update story set state = pg_temp.draw(state, 8, 'dddddddd-0000-4000-8000-000000000002');
select results_eq(
    $$ select d.job_id, d.n, d.lot_seq, d.credits
       from story, unnest((state).draws) as d order by d.job_id, d.n $$,
    $$ values ('dddddddd-0000-4000-8000-000000000001'::uuid, 1::smallint, 2::bigint, 5::bigint),
       ('dddddddd-0000-4000-8000-000000000001', 2::smallint, 3, 2),
       ('dddddddd-0000-4000-8000-000000000002', 1::smallint, 3, 8) $$,
    'the next job''s draws are added and numbered from 1'
);
select is(
    (select sum(g.remaining) from story, unnest((state).lots) as g), 0::numeric,
    'to the last credit'
);
select is(
    (select (pg_temp.draw(row('{}', '{}')::rendio.lot_state, 1, null)).lots),
    '{}'::public.credit_grants [], 'who has no lots has none afterwards'
);

select * from finish();
rollback;
