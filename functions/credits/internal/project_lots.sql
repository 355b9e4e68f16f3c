-- Depends on the ledger alone, so it does not matter when, or how often, the lots are folded.
create or replace function rendio.project_lots(p_user public.users)
returns rendio.lot_state
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_state rendio.lot_state;
    v_entry public.quota_log;
    v_lot public.credit_grants;
begin
    v_state.draws := array(
        select d from public.credit_draws as d where d.user_id = p_user.id and p_user.lots_seq > 0
    );
    v_state.lots := array(
        select g
        from public.credit_grants as g
        where g.user_id = p_user.id
            and g.seq <= p_user.lots_seq
            and (
                g.remaining > 0
                or exists (
                    select from unnest(v_state.draws) as d
                    where d.lot_seq = g.seq and d.lot_n = g.n
                )
            )
    );
    for v_entry in
        select *
        from rendio.ledger_page(
            p_user, 'infinity', p_user.ledger_seq + 1,
            (p_user.ledger_seq - p_user.lots_seq)::integer
        ) as e
        order by e.seq
    loop
        if v_entry.lot_seq is not null then
            v_state := rendio.take_from_lot(v_state, v_entry);
        elsif v_entry.change < 0 then
            v_state := rendio.draw_lots(v_state, v_entry);
        elsif rendio.is_refund(v_entry.reason) then
            v_state := rendio.return_to_lots(v_state, v_entry);
        else
            for v_lot in
                select *
                from public.credit_grants as g
                where g.user_id = p_user.id and g.seq = v_entry.seq
                order by g.n
            loop
                v_lot.remaining := v_lot.amount;
                v_state.lots := v_state.lots || v_lot;
            end loop;
        end if;
    end loop;
    return v_state;
end;
$$;

comment on function rendio.project_lots(public.users) is
$$The lots as of a user's last ledger entry, from those of the checkpoint users.lots_seq and the
entries since. Writes nothing.$$;

revoke execute on function rendio.project_lots(public.users) from public, anon, authenticated;
