create or replace function rendio.draw_lots(
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
    v_left bigint := -p_entry.change;
    v_drawn bigint;
    v_n smallint := 0;
    v_i integer;
begin
    for v_i in
        select g.ordinality
        from unnest(p_state.lots) with ordinality as g
        where g.remaining > 0
        order by g.priority, g.expires_at, g.kind = 'paid', g.seq, g.n
    loop
        v_drawn := least(v_left, p_state.lots[v_i].remaining);
        p_state.lots[v_i].remaining := p_state.lots[v_i].remaining - v_drawn;
        if p_entry.job_id is not null then
            v_n := v_n + 1;
            p_state.draws := p_state.draws || row(
                p_entry.user_id, p_entry.job_id, v_n, p_state.lots[v_i].seq, p_state.lots[v_i].n,
                v_drawn
            )::public.credit_draws;
        end if;
        v_left := v_left - v_drawn;
        exit when v_left = 0;
    end loop;
    return p_state;
end;
$$;

comment on function rendio.draw_lots(rendio.lot_state, public.quota_log) is
$$Take a debit from the lots: by priority, then what expires first, then promotional before paid,
then the older. Draws of a job are noted for its refund.$$;

revoke execute on function rendio.draw_lots(rendio.lot_state, public.quota_log)
from public, anon, authenticated;
