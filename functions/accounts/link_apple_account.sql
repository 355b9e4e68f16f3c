-- Locks: see rendio.join_apple_account; a replay takes none.
create or replace function public.link_apple_account(
    p_user_id uuid,
    p_apple_sub text,
    p_email text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_account_id uuid;
    v_replayed boolean;
begin
    perform rendio.require_service();
    if p_user_id is null then
        perform rendio.raise_invalid('p_user_id', 'required');
    elsif length(p_email) not between 3 and 320 then
        perform rendio.raise_invalid('p_email', '3 to 320 characters');
    end if;
    perform rendio.check_text(p_apple_sub, 'p_apple_sub', 255);

    select i.user_id into v_account_id
    from public.account_identities as i
    where i.kind = 'apple' and i.identifier = p_apple_sub;
    v_replayed := coalesce(rendio.is_same_person(p_user_id, v_account_id), false);
    if not v_replayed then
        select j.account_id, j.replayed into v_account_id, v_replayed
        from rendio.join_apple_account(p_user_id, p_apple_sub, p_email, v_now) as j;
    end if;

    return jsonb_build_object(
        'user_id', v_account_id,
        'merged_from', nullif(p_user_id, v_account_id),
        'credits_remaining', rendio.available_credits(
            rendio.require_account(v_account_id), v_now
        ),
        'replayed', v_replayed
    );
end;
$$;

comment on function public.link_apple_account(uuid, text, text) is
$$Sign a guest in with Apple: a new Apple account makes the guest an account, a known one takes the
guest over.

Taken over means that the guest's credits move to the account, with what they expire by, and its
jobs are the account's to read; whatever reaches the guest later follows. user_id of the answer is
whom to call as from now on. Keys stay the guest's: a call that the guest made, and whose answer was
lost, is repeated with the guest's id and token, and answered; with the account's id it is a new
one. Sandbox credits above the cap are lost when a guest is taken over: the cap is a person's.
Safe to repeat, and from several devices at once: one account, replayed true for who comes later
with nothing to do.
The caller has verified Apple's identity token before.

p_apple_sub: the token's subject.
p_email: as Apple gave it, the first time only.

@nullable p_email
@returns {user_id: uuid, merged_from: uuid?, credits_remaining: bigint, replayed: boolean}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 user_not_found
@raises PT409 account_merged
@raises PT409 invalid_transition
@raises PT413 payload_too_large$$;

revoke execute on function public.link_apple_account(uuid, text, text)
from public, anon, authenticated;
grant execute on function public.link_apple_account(uuid, text, text) to service_role;
