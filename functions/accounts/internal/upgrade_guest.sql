-- Locks: none; the caller holds the guest's row.
create or replace function rendio.upgrade_guest(p_guest public.users, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if not rendio.is_open_guest(p_guest) then
        perform rendio.raise_no_guest(p_guest);
    end if;
    update public.users as u set is_guest = false, updated_at = p_at where u.id = p_guest.id;
end;
$$;

comment on function rendio.upgrade_guest(public.users, timestamptz) is
$$Make a guest an account.

@raises PT409 account_merged
@raises PT409 invalid_transition$$;

revoke execute on function rendio.upgrade_guest(public.users, timestamptz)
from public, anon, authenticated;
