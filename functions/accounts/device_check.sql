-- Locks: the device's claim, then the user. The usual call, a known user on a known device, writes
-- nothing and locks nothing. Two first calls of one device meet at the claim's primary key.
create or replace function public.device_check(
    p_user_id uuid,
    p_device_id text,
    p_language text default 'en',
    p_grant_claimed boolean default false
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_user_id uuid;
    v_claimed boolean;
    v_user public.users;
    v_is_new boolean := false;
    v_grant integer;
begin
    perform rendio.require_service();
    perform rendio.check_text(p_device_id, 'p_device_id', 255);
    if p_language is null or p_language !~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$' then
        perform rendio.raise_invalid('p_language', 'a BCP 47 tag such as en or pt-BR');
    end if;

    select u.* into v_user
    from public.account_identities as i
    join public.users as u on u.id = coalesce(p_user_id, i.user_id)
    where i.kind = 'device' and i.identifier = p_device_id;

    -- Without an id the device answers, but never with an account that is no guest any more: the
    -- device alone does not prove who holds it.
    if v_user.id is null or (p_user_id is null and not rendio.is_open_guest(v_user)) then
        insert into public.account_identities (
            kind, identifier, user_id, initial_grant_claimed, created_at
        )
        values (
            'device',
            p_device_id,
            coalesce(p_user_id, gen_random_uuid()),
            coalesce(p_grant_claimed, false) or exists (
                select from public.account_identities as i
                where i.kind = 'device_digest'
                    and i.identifier = rendio.forgotten(p_device_id)
                    and i.initial_grant_claimed
            ),
            v_now
        )
        on conflict do nothing;

        select i.user_id, i.initial_grant_claimed into v_user_id, v_claimed
        from public.account_identities as i
        where i.kind = 'device' and i.identifier = p_device_id
        for no key update;

        if p_user_id is null then
            select * into v_user from public.users as u where u.id = v_user_id;
            if found and not rendio.is_open_guest(v_user) then
                v_user_id := gen_random_uuid();
                update public.account_identities as i
                set user_id = v_user_id
                where i.kind = 'device' and i.identifier = p_device_id;
            end if;
        else
            v_user_id := p_user_id;
        end if;

        insert into public.users (id, language, created_at, updated_at, ledger_at)
        values (v_user_id, p_language, v_now, v_now, v_now)
        on conflict do nothing;
        v_is_new := found;
        -- A deletion that is under way either finds the device or is found by require_account.
        if not v_is_new then
            perform from public.users as u where u.id = v_user_id for share;
        end if;

        v_grant := rendio.setting('initial_grant')::integer;
        if v_is_new and not v_claimed and v_grant > 0 and p_grant_claimed is not true then
            update public.account_identities as i
            set initial_grant_claimed = true
            where i.kind = 'device' and i.identifier = p_device_id;
            perform rendio.post_entry(v_user_id, v_grant, 'initial_grant', null, v_now);
        end if;
        v_user := rendio.require_account(v_user_id);
    elsif v_user.deleted_at is not null then
        perform rendio.require_account(v_user.id);
    end if;

    return jsonb_build_object(
        'user_id', v_user.id,
        'is_new', v_is_new,
        'is_guest', v_user.is_guest,
        'tier', v_user.tier,
        'credits_remaining', rendio.available_credits(v_user, v_now)
    );
end;
$$;

comment on function public.device_check(uuid, text, text, boolean) is
$$Find or create the guest of a device; the app's first call.

With p_user_id the answer is always that user, created when unknown. With null the device's guest
answers; an account that is no longer a guest never does. The initial credits (setting
initial_grant) come only in the call that creates the user, and once per device for ever.
Safe to repeat: later calls find the same user with is_new false.
The caller has verified the device (DeviceCheck) before.

p_grant_claimed: that the device has had its initial credits, under whatever id: DeviceCheck's bit.

@nullable p_user_id, p_grant_claimed
@returns {user_id: uuid, is_new: boolean, is_guest: boolean, tier: text, credits_remaining: bigint}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 user_not_found
@raises PT413 payload_too_large$$;

revoke execute on function public.device_check(uuid, text, text, boolean)
from public, anon, authenticated;
grant execute on function public.device_check(uuid, text, text, boolean) to service_role;
