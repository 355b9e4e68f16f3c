create or replace function rendio.require_user(p_user_id uuid)
returns void
language plpgsql
stable
parallel unsafe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_caller uuid;
begin
    if rendio.caller_is_service() then
        if p_user_id is null then
            perform rendio.raise_invalid('p_user_id', 'required');
        end if;
        return;
    end if;

    v_caller := rendio.caller_id();
    if v_caller is null then
        raise sqlstate 'PT401' using
            message = 'not_authenticated',
            detail = '{}',
            hint = 'Send a valid token of the user.';
    elsif v_caller is distinct from p_user_id then
        raise sqlstate 'PT403' using
            message = 'not_your_account',
            detail = '{}',
            hint = 'Pass the id of the user whose token this is.';
    end if;
end;
$$;

comment on function rendio.require_user(uuid) is
$$Let the service pass for any user and a user for itself; the first statement of such an RPC.

@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account$$;

revoke execute on function rendio.require_user(uuid) from public, anon, authenticated;
