-- Called when a job ends, which each generation's does: who only generates, and is given nothing
-- that would fold the lots, would else leave a fold behind that takes seconds under the row's lock.
-- Locks: the user's row, once in 500 entries.
create or replace function rendio.fold_when_behind(p_user_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from public.users as u where u.id = p_user_id and u.ledger_seq - u.lots_seq >= 500
    ) then
        perform rendio.fold_lots(p_user_id);
    end if;
end;
$$;

comment on function rendio.fold_when_behind(uuid) is
$$Account for a user's ledger entries in its lots once there are 500 new ones.$$;

revoke execute on function rendio.fold_when_behind(uuid) from public, anon, authenticated;
