-- Locks: the user's row.
create or replace function public.waive_credit_debt(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
    v_waived bigint;
begin
    perform rendio.require_service();
    if p_user_id is null then
        perform rendio.raise_invalid('p_user_id', 'required');
    end if;
    perform rendio.require_account(p_user_id);
    v_user := rendio.lock_person(p_user_id);
    v_waived := rendio.waive_debts(v_user.id);
    return jsonb_build_object(
        'user_id', v_user.id, 'credits_waived', v_waived, 'replayed', v_waived = 0
    );
end;
$$;

comment on function public.waive_credit_debt(uuid) is
$$Forgive what a user owes for refunded purchases, and let it spend again.

For support. Safe to repeat. What a job gives back to a refunded purchase is taken all the same.

p_user_id: the user; of a merged guest its account.

@returns {user_id: uuid, credits_waived: bigint, replayed: boolean}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 user_not_found$$;

revoke execute on function public.waive_credit_debt(uuid) from public, anon, authenticated;
grant execute on function public.waive_credit_debt(uuid) to service_role;
