create or replace function rendio.take_from_lot(
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
    v_i integer;
begin
    select g.ordinality into v_i
    from unnest(p_state.lots) with ordinality as g
    where g.seq = p_entry.lot_seq and g.n = p_entry.lot_n;
    p_state.lots[v_i].remaining := p_state.lots[v_i].remaining + p_entry.change;
    return p_state;
end;
$$;

comment on function rendio.take_from_lot(rendio.lot_state, public.quota_log) is
$$Take an expiry or a clawback from the lot that its entry names.$$;

revoke execute on function rendio.take_from_lot(rendio.lot_state, public.quota_log)
from public, anon, authenticated;
