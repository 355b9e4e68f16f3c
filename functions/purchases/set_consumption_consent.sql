-- Locks: the user's row, shared, so that neither a merge nor a deletion passes by; the consent's
-- row. A replay locks nothing.
create or replace function public.set_consumption_consent(p_user_id uuid, p_consented boolean)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_user public.users;
    v_owner_id uuid;
begin
    perform rendio.require_user(p_user_id);
    perform rendio.require_account(p_user_id);
    if p_consented is null then
        perform rendio.raise_invalid('p_consented', 'required');
    elsif rendio.consents(p_user_id) = p_consented then
        return jsonb_build_object('consented', p_consented, 'replayed', true);
    end if;

    perform from public.users as u where u.id = p_user_id for share;
    v_user := rendio.require_account(p_user_id);
    v_owner_id := coalesce(v_user.merged_into, p_user_id);
    if p_consented then
        insert into public.consumption_consents (user_id, consented_at)
        values (v_owner_id, v_now)
        on conflict do nothing;
    else
        delete from public.consumption_consents as c where c.user_id = v_owner_id;
    end if;
    return jsonb_build_object('consented', p_consented, 'replayed', not found);
end;
$$;

comment on function public.set_consumption_consent(uuid, boolean) is
$$Say whether a store that considers a refund may be told how much of the purchase was used.

Without consent it is not told: the App Store refuses such an answer.

@returns {consented: boolean, replayed: boolean}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 user_not_found$$;

revoke execute on function public.set_consumption_consent(uuid, boolean)
from public, anon, authenticated;
grant execute on function public.set_consumption_consent(uuid, boolean)
to authenticated, service_role;
