-- An expiry takes from the lot that it names, whatever else would be spent first.
begin;
select plan(2);

create function pg_temp.taken(p_lot_seq bigint, p_lot_n smallint) returns rendio.lot_state
language plpgsql as $$
declare
    v_state rendio.lot_state;
    v_entry public.quota_log;
begin
    v_state.lots := array(
        select jsonb_populate_record(null::public.credit_grants, to_jsonb(l))
        from (values (1, 1, 3), (2, 1, 10), (2, 2, 5)) as l (seq, n, remaining)
    );
    v_state.draws := array[
        row('aaaaaaaa-0000-4000-8000-000000000001', 'dddddddd-0000-4000-8000-000000000001', 1, 1, 1,
            7)::public.credit_draws
    ];
    v_entry.change := -4;
    v_entry.lot_seq := p_lot_seq;
    v_entry.lot_n := p_lot_n;
    return rendio.take_from_lot(v_state, v_entry);
end $$;

select results_eq(
    $$ select g.seq, g.n, g.remaining from unnest((pg_temp.taken(2, 2::smallint)).lots) as g
       order by g.seq, g.n $$,
    $$ values (1::bigint, 1::smallint, 3::bigint), (2, 1::smallint, 10), (2, 2::smallint, 1) $$,
    'number and n name it'
);
select results_eq(
    $$ select d.lot_seq, d.credits from unnest((pg_temp.taken(2, 1::smallint)).draws) as d $$,
    $$ values (1::bigint, 7::bigint) $$, 'what jobs hold stays'
);

select * from finish();
rollback;
