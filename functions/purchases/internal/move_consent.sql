-- Locks: both rows of consent.
create or replace function rendio.move_consent(p_guest_id uuid, p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into public.consumption_consents (user_id, consented_at)
    select p_account_id, c.consented_at
    from public.consumption_consents as c
    where c.user_id = p_guest_id
    on conflict do nothing;
    delete from public.consumption_consents as c where c.user_id = p_guest_id;
end;
$$;

comment on function rendio.move_consent(uuid, uuid) is
$$Make a guest's consent the account's, which alone can withdraw it from then on.$$;

revoke execute on function rendio.move_consent(uuid, uuid) from public, anon, authenticated;
