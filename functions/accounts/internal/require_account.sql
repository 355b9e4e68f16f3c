create or replace function rendio.require_account(p_user_id uuid)
returns public.users
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
begin
    select * into v_user from public.users as u where u.id = p_user_id;
    if not found or v_user.deleted_at is not null then
        raise sqlstate 'PT404' using
            message = 'user_not_found',
            detail = jsonb_build_object('user_id', p_user_id)::text,
            hint = 'Create the account with device_check first.';
    end if;
    return v_user;
end;
$$;

comment on function rendio.require_account(uuid) is
$$The account, not locked; a deleted one is unknown.

@raises PT404 user_not_found$$;

revoke execute on function rendio.require_account(uuid) from public, anon, authenticated;
