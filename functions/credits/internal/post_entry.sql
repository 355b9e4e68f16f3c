-- Where balances move: this and generate_video_atomic, which does the same in place, are the only
-- writers of quota_log.
-- Locks: the user's row, by the update itself. Sequence, time and balance of the entry come out of
-- that update, so the row lock orders them: seq has no gaps and time never runs against it, in
-- whatever order the transactions began. Callers hold their claims and jobs already; nothing locks
-- a job after this.
create or replace function rendio.post_entry(
    p_user_id uuid,
    p_change bigint,
    p_reason text,
    p_job_id uuid,
    p_at timestamptz,
    p_is_sandbox boolean default false
)
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_is_grant boolean := p_change > 0
        and p_reason not in ('generation_failed_refund', 'partial_refund');
    v_granted bigint := case when v_is_grant then p_change else 0 end;
    v_balance bigint;
    v_seq bigint;
    v_at timestamptz;
begin
    loop
        update public.users as u
        set credits_remaining = u.credits_remaining + p_change,
            credits_total = u.credits_total + v_granted,
            ledger_seq = u.ledger_seq + 1,
            ledger_at = greatest(u.ledger_at, p_at),
            updated_at = p_at
        where u.id = p_user_id
            and u.credits_remaining + p_change >= 0
            and u.merged_into is null
        returning u.credits_remaining, u.ledger_seq, u.ledger_at
        into v_balance, v_seq, v_at;
        exit when found;
        -- Raises, unless the balance grew between the update and its lock.
        perform rendio.refuse_entry(p_user_id, p_change);
    end loop;

    insert into public.quota_log (
        user_id, seq, created_at, balance_after, change, job_id, is_sandbox, reason
    )
    values (p_user_id, v_seq, v_at, v_balance, p_change, p_job_id, p_is_sandbox, p_reason);

    if v_is_grant then
        perform rendio.open_lot(p_user_id, v_seq, p_change, p_reason, v_at, p_is_sandbox);
    end if;
    return v_balance;
end;
$$;

comment on function rendio.post_entry(uuid, bigint, text, uuid, timestamptz, boolean) is
$$Change a balance and write the ledger entry; returns the new balance.

@raises PT402 insufficient_credits
@raises PT404 user_not_found
@raises PT409 account_merged$$;

revoke execute on function rendio.post_entry(uuid, bigint, text, uuid, timestamptz, boolean)
from public, anon, authenticated;
