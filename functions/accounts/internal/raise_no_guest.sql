create or replace function rendio.raise_no_guest(p_user public.users)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_user.merged_into is not null then
        raise sqlstate 'PT409' using
            message = 'account_merged',
            detail = jsonb_build_object('merged_into', p_user.merged_into)::text,
            hint = 'Sign in again and use the account.';
    end if;
    raise sqlstate 'PT409' using
        message = 'invalid_transition',
        detail = jsonb_build_object('user_id', p_user.id)::text,
        hint = 'The account has another Apple id; sign out and come as a guest first.';
end;
$$;

comment on function rendio.raise_no_guest(public.users) is
$$Refuse to link an Apple id to what is no open guest.

@raises PT409 account_merged
@raises PT409 invalid_transition$$;

revoke execute on function rendio.raise_no_guest(public.users) from public, anon, authenticated;
