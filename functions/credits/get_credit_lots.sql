create or replace function public.get_credit_lots(p_user_id uuid)
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
    return (
        select jsonb_build_object(
            'credits_remaining', coalesce(sum(g.remaining), 0),
            'lots', coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'seq', g.seq,
                        'n', g.n,
                        'kind', g.kind,
                        'amount', g.amount,
                        'remaining', g.remaining,
                        'is_sandbox', g.is_sandbox,
                        'expires_at', nullif(g.expires_at, 'infinity'),
                        'created_at', g.created_at
                    )
                    order by g.priority, g.expires_at, g.kind = 'paid', g.seq, g.n
                ),
                '[]'
            )
        )
        from rendio.live_lots(v_user, rendio.clock()) as g
    );
end;
$$;

comment on function public.get_credit_lots(uuid) is
$$What is left of each of a user's lots, in the order in which they will be spent.

A lot is what one grant or purchase brought; kind is paid or promotional. expires_at is null when
the credits never expire.

@returns {credits_remaining: bigint, lots: [credit_lot]}
@shape credit_lot {seq: bigint, n: integer, kind: text, amount: bigint, remaining: bigint,
    is_sandbox: boolean, expires_at: timestamptz?, created_at: timestamptz}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 user_not_found$$;

revoke execute on function public.get_credit_lots(uuid) from public, anon, authenticated;
grant execute on function public.get_credit_lots(uuid) to authenticated, service_role;
