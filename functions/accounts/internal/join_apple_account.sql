-- Locks: the Apple id's claim, then the rows of guest and account by their ids, as a batch of a
-- caller's does, which may hold both. The claim decides the race of two devices: who comes second
-- finds an account to merge into. A claim that a deletion took away meanwhile is made anew.
-- A repeat locks neither row: whoever credits a merged guest locks the guest first.
create or replace function rendio.join_apple_account(
    p_user_id uuid,
    p_apple_sub text,
    p_email text,
    p_at timestamptz,
    out account_id uuid,
    out replayed boolean
)
returns record
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
    v_is_new boolean;
begin
    loop
        insert into public.account_identities (
            kind, identifier, user_id, email, initial_grant_claimed, created_at
        )
        values ('apple', p_apple_sub, p_user_id, p_email, true, p_at)
        on conflict do nothing;
        v_is_new := found;
        select i.user_id into account_id
        from public.account_identities as i
        where i.kind = 'apple' and i.identifier = p_apple_sub
        for no key update;
        exit when found;
    end loop;
    if not v_is_new and rendio.is_same_person(p_user_id, account_id) then
        replayed := true;
        return;
    end if;
    perform from public.users as u
    where u.id in (p_user_id, account_id)
    order by u.id
    for no key update;
    select * into v_user from public.users as u where u.id = p_user_id;
    if v_user.id is null or v_user.deleted_at is not null then
        perform rendio.require_account(p_user_id);
    end if;

    replayed := false;
    if v_is_new then
        perform rendio.upgrade_guest(v_user, p_at);
    else
        perform rendio.merge_guest(v_user, account_id, p_at);
    end if;
end;
$$;

comment on function rendio.join_apple_account(uuid, text, text, timestamptz) is
$$Make a guest the account of an Apple id, or merge it into the one that has it.

account_id: who has the Apple id now. replayed: that had happened before.

@raises PT404 user_not_found
@raises PT409 account_merged
@raises PT409 invalid_transition$$;

revoke execute on function rendio.join_apple_account(uuid, text, text, timestamptz)
from public, anon, authenticated;
