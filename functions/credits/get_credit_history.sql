create or replace function public.get_credit_history(
    p_user_id uuid,
    p_before_seq bigint default null,
    p_limit integer default 20,
    p_before_at timestamptz default null
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
    v_entries jsonb;
    v_last public.quota_log;
begin
    perform rendio.require_user(p_user_id);
    perform rendio.check_page(p_limit);
    v_user := rendio.require_account(p_user_id);

    with page as (
        select *
        from rendio.ledger_page(
            v_user,
            coalesce(p_before_at, 'infinity'),
            coalesce(p_before_seq, v_user.ledger_seq + 1),
            p_limit
        )
    )
    select
        coalesce(
            jsonb_agg(
                rendio.entry_json(p.*::public.quota_log)
                order by p.seq desc
            ),
            '[]'
        ),
        min(p.seq),
        min(p.created_at)
    into v_entries, v_last.seq, v_last.created_at
    from page as p;

    return jsonb_build_object(
        'entries', v_entries,
        'next_before_seq', case when v_last.seq > 1 then v_last.seq end,
        'next_before_at', case when v_last.seq > 1 then v_last.created_at end
    );
end;
$$;

comment on function public.get_credit_history(uuid, bigint, integer, timestamptz) is
$$A page of a user's ledger, newest first.

For the next page pass next_before_seq and next_before_at back; both are null on the last page.

p_before_seq: entries before this one; null: from the newest on.
p_limit: 1 to 100.
p_before_at: only saves the way there; with p_before_seq alone the result is the same.

@returns {entries: [ledger_entry], next_before_seq: bigint?, next_before_at: timestamptz?}
@shape ledger_entry {seq: bigint, change: bigint, reason: text, balance_after: bigint,
    job_id: uuid?, created_at: timestamptz}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 user_not_found$$;

revoke execute on function public.get_credit_history(uuid, bigint, integer, timestamptz)
from public, anon, authenticated;
grant execute on function public.get_credit_history(uuid, bigint, integer, timestamptz)
to authenticated, service_role;
