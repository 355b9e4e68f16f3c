-- Where balances move: this and generate_video_atomic, which does the same in place, are the only
-- writers of quota_log.
-- Locks: the user's row, by the update itself. Sequence, time and balance of the entry come out of
-- that update, so the row lock orders them: seq has no gaps and time never runs against it, in
-- whatever order the transactions began. Callers hold their claims and jobs already; nothing locks
-- a job after this.
-- Expiry is settled before any entry but a refund: its job has ended by then, so a fold would
-- forget what the job drew before that can go back. A refund may have to open a lot for credits
-- whose own has expired (see rendio.return_to_lots), so it brings the next expiry near when one
-- has. What comes back or is bought pays what is owed for refunded purchases, and what reaches a
-- guest that was merged, or an account that was deleted, leaves it: in the same transaction.
create or replace function rendio.post_entry(
    p_user_id uuid,
    p_change bigint,
    p_reason rendio.ledger_reason,
    p_job_id uuid,
    p_at timestamptz,
    p_is_sandbox boolean default false,
    p_expires_at timestamptz default null,
    p_lot_seq bigint default null,
    p_lot_n smallint default null,
    p_origin uuid default null
)
returns public.quota_log
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_is_refund boolean := rendio.is_refund(p_reason);
    v_is_grant boolean := p_change > 0 and not v_is_refund;
    v_pays boolean := p_reason in ('iap_purchase', 'iap_refund_reversed');
    v_is_open boolean := p_reason in ('promo_grant', 'admin_adjustment', 'guest_merge_in');
    v_user public.users;
    v_entry public.quota_log;
begin
    loop
        update public.users as u
        set credits_remaining = u.credits_remaining + p_change,
            credits_total = u.credits_total + case when v_is_grant then p_change else 0 end,
            ledger_seq = u.ledger_seq + 1,
            ledger_at = greatest(u.ledger_at, p_at),
            next_expiry_at = least(
                u.next_expiry_at,
                p_expires_at,
                case
                    when v_is_refund
                        then rendio.refund_expiry(u.id, greatest(u.ledger_at, p_at))
                end
            ),
            updated_at = p_at
        where u.id = p_user_id
            and u.credits_remaining + p_change >= 0
            and (not v_is_open or (u.merged_into is null and u.deleted_at is null))
            and (
                v_is_refund
                or p_lot_seq is not null
                or u.next_expiry_at > greatest(u.ledger_at, p_at)
            )
        returning u.* into v_user;
        exit when found;
        -- Raises, unless the balance grew between the update and its lock, or expiry is
        -- settled now.
        perform rendio.refuse_entry(
            p_user_id, p_change, p_at, v_is_open, p_of_lot => p_lot_seq is not null
        );
    end loop;

    insert into public.quota_log (
        user_id, seq, created_at, balance_after, change, job_id, lot_seq, lot_n, is_sandbox, reason
    )
    values (
        p_user_id, v_user.ledger_seq, v_user.ledger_at, v_user.credits_remaining, p_change,
        p_job_id, p_lot_seq, p_lot_n, p_is_sandbox, p_reason
    )
    returning * into v_entry;

    if v_is_grant and p_reason <> 'guest_merge_in' then
        perform rendio.open_lot(v_user, v_entry, p_expires_at, p_origin);
    end if;
    if v_is_refund or v_pays then
        perform rendio.collect_debts(
            p_user_id, p_at, case when v_pays then v_entry.seq end
        );
    end if;
    if p_change > 0 and v_user.deleted_at is not null then
        perform rendio.forfeit_credits(p_user_id, p_at);
    elsif p_change > 0 and v_user.merged_into is not null then
        perform rendio.move_credits(p_user_id, v_user.merged_into, p_at);
    end if;
    return v_entry;
end;
$$;

comment on function rendio.post_entry(
    uuid, bigint, rendio.ledger_reason, uuid, timestamptz, boolean, timestamptz, bigint, smallint,
    uuid
) is
$$Change a balance and write the ledger entry, which it returns.

p_expires_at: when a grant's credits are lost; null: never.
p_lot_seq, p_lot_n: the one lot that an expiry or a clawback takes from.
p_origin: of a grant that gives back what was taken: the entry that first brought the credits.

@raises PT402 insufficient_credits
@raises PT404 user_not_found
@raises PT409 account_merged$$;

revoke execute on function rendio.post_entry(
    uuid, bigint, rendio.ledger_reason, uuid, timestamptz, boolean, timestamptz, bigint, smallint,
    uuid
) from public, anon, authenticated;
