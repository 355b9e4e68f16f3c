-- Locks: the user's row. A job seen as ended here has its refund among the entries folded, because
-- the refund needed that row; one seen as open gives its credits back after this.
create or replace function rendio.fold_lots(p_user_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
    v_state rendio.lot_state;
begin
    select * into v_user from public.users as u where u.id = p_user_id for no key update;
    if v_user.lots_seq = v_user.ledger_seq then
        return;
    end if;
    v_state := rendio.project_lots(v_user);
    v_state.draws := array(
        select d
        from unnest(v_state.draws) as d
        where exists (
            select from public.video_jobs as j
            where j.user_id = d.user_id
                and j.job_id = d.job_id
                and j.status in ('pending', 'processing')
        )
    );

    insert into public.credit_grants as g
    select * from unnest(v_state.lots)
    on conflict (user_id, seq, n) do update
    set remaining = excluded.remaining
    where g.remaining <> excluded.remaining;

    delete from public.credit_draws as d
    where d.user_id = p_user_id
        and not exists (
            select from unnest(v_state.draws) as s where s.job_id = d.job_id and s.n = d.n
        );
    insert into public.credit_draws as d
    select * from unnest(v_state.draws)
    on conflict (user_id, job_id, n) do update
    set credits = excluded.credits
    where d.credits <> excluded.credits;

    update public.users as u set lots_seq = u.ledger_seq where u.id = p_user_id;
end;
$$;

comment on function rendio.fold_lots(uuid) is
$$Account for a user's new ledger entries in its lots. When it runs changes no result.$$;

revoke execute on function rendio.fold_lots(uuid) from public, anon, authenticated;
