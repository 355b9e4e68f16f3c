create or replace function public.get_user_credits(p_user_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
begin
    perform rendio.require_user(p_user_id);
    v_user := rendio.require_account(p_user_id);
    return jsonb_build_object(
        'credits_remaining', rendio.available_credits(v_user, rendio.clock()),
        'credits_total', v_user.credits_total,
        'tier', v_user.tier,
        'is_guest', v_user.is_guest,
        'credits_owed', rendio.credits_owed(p_user_id),
        'is_blocked', v_user.is_blocked
    );
end;
$$;

comment on function public.get_user_credits(uuid) is
$$A user's balance, without what has expired.

credits_total is all that was ever granted or bought. credits_owed is what the next purchase pays
first: credits of refunded purchases that had been spent. While is_blocked nothing can be spent.

@returns {credits_remaining: bigint, credits_total: bigint, tier: text, is_guest: boolean,
    credits_owed: bigint, is_blocked: boolean}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 user_not_found$$;

revoke execute on function public.get_user_credits(uuid) from public, anon, authenticated;
grant execute on function public.get_user_credits(uuid) to authenticated, service_role;
