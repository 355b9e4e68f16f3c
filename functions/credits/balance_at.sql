create or replace function public.balance_at(p_user_id uuid, p_at timestamptz)
returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
    v_balance bigint;
begin
    perform rendio.require_user(p_user_id);
    if p_at is null then
        perform rendio.raise_invalid('p_at', 'required');
    end if;
    v_user := rendio.require_account(p_user_id);

    select q.balance_after into v_balance
    from rendio.ledger_page(v_user, p_at, v_user.ledger_seq + 1, 1) as q;
    return coalesce(v_balance, 0);
end;
$$;

comment on function public.balance_at(uuid, timestamptz) is
$$A user's balance at a time: after the last ledger entry at or before it; 0 before the first.

@returns bigint
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 user_not_found$$;

revoke execute on function public.balance_at(uuid, timestamptz) from public, anon, authenticated;
grant execute on function public.balance_at(uuid, timestamptz) to authenticated, service_role;
