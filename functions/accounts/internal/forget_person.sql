-- Locks: the person's row in users, held until the end: a credit that comes later finds the account
-- deleted.
create or replace function rendio.forget_person(p_user_id uuid, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform rendio.forfeit_credits(p_user_id, p_at);
    update public.users as u
    set deleted_at = p_at,
        updated_at = p_at,
        tier = 'free',
        language = 'en',
        theme_preference = 'system'
    where u.id = p_user_id;

    insert into public.account_identities as i (
        kind, identifier, user_id, initial_grant_claimed, created_at
    )
    select i.kind, rendio.forgotten(i.identifier), i.user_id, i.initial_grant_claimed, i.created_at
    from public.account_identities as i
    where i.user_id = p_user_id and i.identifier not like 'sha256:%'
    on conflict (kind, identifier) do update
    set initial_grant_claimed = i.initial_grant_claimed or excluded.initial_grant_claimed;
    delete from public.account_identities as i
    where i.user_id = p_user_id and i.identifier not like 'sha256:%';
    delete from public.idempotency_log as l where l.user_id = p_user_id;
end;
$$;

comment on function rendio.forget_person(uuid, timestamptz) is
$$Take a person's credits, close the account and erase who it was.$$;

revoke execute on function rendio.forget_person(uuid, timestamptz)
from public, anon, authenticated;
