create or replace function public.get_credit_statement(
    p_user_id uuid,
    p_from timestamptz,
    p_to timestamptz,
    p_before_at timestamptz default null,
    p_limit integer default 20,
    p_before_seq bigint default null
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
    v_moment constant interval := interval '1 microsecond';
    v_opening bigint;
    v_closing bigint;
    v_entries jsonb;
    v_last public.quota_log;
    v_first_seq bigint;
begin
    perform rendio.require_user(p_user_id);
    perform rendio.check_page(p_limit);
    if p_from is null or p_to is null or p_from > p_to or not isfinite(p_from)
        or not isfinite(p_to) then
        perform rendio.raise_invalid('p_from', 'required and finite, like p_to, and not after it');
    end if;
    v_user := rendio.require_account(p_user_id);
    -- Nothing is older than the account, and there is no time before the oldest.
    p_from := greatest(p_from, v_user.created_at);
    p_to := greatest(p_to, p_from);

    select q.balance_after, q.seq into v_opening, v_first_seq
    from rendio.ledger_page(v_user, p_from - v_moment, v_user.ledger_seq + 1, 1) as q;
    select q.balance_after into v_closing
    from rendio.ledger_page(v_user, p_to - v_moment, v_user.ledger_seq + 1, 1) as q;

    select
        coalesce(jsonb_agg(rendio.entry_json(p.*::public.quota_log) order by p.seq desc), '[]'),
        min(p.seq),
        min(p.created_at)
    into v_entries, v_last.seq, v_last.created_at
    from rendio.ledger_page(
        v_user,
        least(p_before_at, p_to - v_moment),
        coalesce(p_before_seq, v_user.ledger_seq + 1),
        p_limit,
        p_from
    ) as p;

    return jsonb_build_object(
        'opening_balance', coalesce(v_opening, 0),
        'closing_balance', coalesce(v_closing, 0),
        'entries', v_entries,
        'next_before_at',
            case when v_last.seq > coalesce(v_first_seq, 0) + 1 then v_last.created_at end,
        'next_before_seq', case when v_last.seq > coalesce(v_first_seq, 0) + 1 then v_last.seq end
    );
end;
$$;

comment on function public.get_credit_statement(
    uuid, timestamptz, timestamptz, timestamptz, integer, bigint
) is
$$A user's ledger from p_from up to, not including, p_to: a page of it, newest first, between the
balances that it starts from and ends at.

opening_balance and the changes of all pages add up to closing_balance. For the next page pass
next_before_at and next_before_seq back; both are null on the last page.

p_before_at: entries at or before this time; with p_before_seq, only those before that entry.
p_limit: 1 to 100.

@returns {opening_balance: bigint, closing_balance: bigint, entries: [ledger_entry],
    next_before_at: timestamptz?, next_before_seq: bigint?}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 user_not_found$$;

revoke execute on function public.get_credit_statement(
    uuid, timestamptz, timestamptz, timestamptz, integer, bigint
) from public, anon, authenticated;
grant execute on function public.get_credit_statement(
    uuid, timestamptz, timestamptz, timestamptz, integer, bigint
) to authenticated, service_role;
