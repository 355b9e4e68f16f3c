-- Locks: none; the caller holds the rows of both. The credits go first: they pay what the account
-- owes, and not what the guest owes, whose own they were.
create or replace function rendio.merge_guest(
    p_guest public.users,
    p_account_id uuid,
    p_at timestamptz
)
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
    perform rendio.move_consent(p_guest.id, p_account_id);
    perform rendio.forfeit_sandbox(p_guest.id, p_account_id, p_at);
    perform rendio.move_credits(p_guest.id, p_account_id, p_at);
    perform rendio.move_debts(p_guest.id, p_account_id);
    update public.users as u
    set merged_into = p_account_id, updated_at = p_at
    where u.id = p_guest.id;
end;
$$;

comment on function rendio.merge_guest(public.users, uuid, timestamptz) is
$$Give a guest's credits to an account and close the guest.

@raises PT409 account_merged
@raises PT409 invalid_transition$$;

revoke execute on function rendio.merge_guest(public.users, uuid, timestamptz)
from public, anon, authenticated;
