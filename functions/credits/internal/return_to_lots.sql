-- A piece for a lot that has expired meanwhile opens a new one, of the same origin.
create or replace function rendio.return_to_lots(
    p_state rendio.lot_state,
    p_entry public.quota_log
)
returns rendio.lot_state
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_left bigint := p_entry.change;
    v_n smallint := 0;
    v_draw record;
    v_back bigint;
    v_i integer;
    v_lot public.credit_grants;
begin
    for v_draw in
        select d.ordinality as i, d.lot_seq, d.lot_n, d.credits
        from unnest(p_state.draws) with ordinality as d
        where d.job_id = p_entry.job_id
        order by d.n desc
    loop
        v_back := least(v_left, v_draw.credits);
        select g.ordinality into v_i
        from unnest(p_state.lots) with ordinality as g
        where g.seq = v_draw.lot_seq and g.n = v_draw.lot_n;
        v_lot := p_state.lots[v_i];
        if v_lot.expires_at > p_entry.created_at then
            p_state.lots[v_i].remaining := v_lot.remaining + v_back;
        else
            v_n := v_n + 1;
            v_lot.seq := p_entry.seq;
            v_lot.n := v_n;
            v_lot.amount := v_back;
            v_lot.remaining := v_back;
            v_lot.created_at := p_entry.created_at;
            v_lot.expires_at := p_entry.created_at + rendio.refund_grace();
            p_state.lots := p_state.lots || v_lot;
        end if;
        p_state.draws[v_draw.i].credits := v_draw.credits - v_back;
        v_left := v_left - v_back;
        exit when v_left = 0;
    end loop;
    p_state.draws := array(select d from unnest(p_state.draws) as d where d.credits > 0);
    return p_state;
end;
$$;

comment on function rendio.return_to_lots(rendio.lot_state, public.quota_log) is
$$Give a refund back to the lots that its job drew from, the last drawn first.$$;

revoke execute on function rendio.return_to_lots(rendio.lot_state, public.quota_log)
from public, anon, authenticated;
