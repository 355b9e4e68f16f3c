-- Locks: the person's row in users, held until the end: a credit that comes later finds the account
-- deleted. A guest may have been merged into another account while the caller got here.
create or replace function rendio.forget_person(
    p_user_id uuid,
    p_account_id uuid,
    p_at timestamptz
)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
begin
    select * into v_user from public.users as u where u.id = p_user_id for no key update;
    if v_user.merged_into <> p_account_id then
        perform rendio.raise_no_guest(v_user);
    elsif v_user.deleted_at is not null then
        return false;
    end if;
    perform rendio.forfeit_credits(p_user_id, p_at);
    perform rendio.waive_debts(p_user_id);
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
    select
        i.kind || '_digest', rendio.forgotten(i.identifier), i.user_id, i.initial_grant_claimed,
        i.created_at
    from public.account_identities as i
    where i.user_id = p_user_id and i.kind in ('device', 'apple')
    on conflict (kind, identifier) do update
    set initial_grant_claimed = i.initial_grant_claimed or excluded.initial_grant_claimed;
    delete from public.account_identities as i
    where i.user_id = p_user_id and i.kind in ('device', 'apple');
    delete from public.idempotency_log as l
    using (
        select k.ctid
        from public.idempotency_log as k
        where k.user_id = p_user_id
        for update skip locked
    ) as idle
    where l.ctid = idle.ctid;
    delete from public.consumption_consents as c where c.user_id = p_user_id;
    return true;
end;
$$;

comment on function rendio.forget_person(uuid, uuid, timestamptz) is
$$Take a person's credits, close the account and erase who it was; false when that was done before.

p_account_id: the account that is deleted: the person's own, or the one it was merged into.

@raises PT409 account_merged$$;

revoke execute on function rendio.forget_person(uuid, uuid, timestamptz)
from public, anon, authenticated;
