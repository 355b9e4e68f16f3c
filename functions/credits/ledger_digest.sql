-- A chain, not one hash of it all: the memory is the same for any ledger, and whoever keeps the
-- digest of an entry can go on from there. The entry's id is left out: it is random, so nobody who
-- computes the ledger from the calls could know it, and no money depends on it.
-- A deleted account has a digest too: its ledger stays.
create or replace function public.ledger_digest(p_user_id uuid)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_digest bytea := sha256('');
    v_entry public.quota_log;
begin
    perform rendio.require_service();
    if p_user_id is null then
        perform rendio.raise_invalid('p_user_id', 'required');
    elsif not exists (select from public.users as u where u.id = p_user_id) then
        perform rendio.require_account(p_user_id);
    end if;

    for v_entry in
        select * from public.quota_log as q where q.user_id = p_user_id order by q.seq, q.created_at
    loop
        v_digest := sha256(
            v_digest || convert_to(
                format(
                    '%s,%s,%s,%s,%s,%s,%s,%s,%s',
                    v_entry.seq,
                    v_entry.change,
                    v_entry.balance_after,
                    v_entry.reason,
                    v_entry.job_id,
                    v_entry.lot_seq,
                    v_entry.lot_n,
                    v_entry.is_sandbox::text,
                    (extract(epoch from v_entry.created_at) * 1000000)::bigint
                ),
                'UTF8'
            )
        );
    end loop;
    return encode(v_digest, 'hex');
end;
$$;

comment on function public.ledger_digest(uuid) is
$$A fingerprint of a user's ledger: 64 hex digits that change when anything in it does.

Whoever has recorded the calls can compute it without this database, and so show that no entry was
changed, left out, added or moved. It begins as the SHA-256 of nothing. For each entry, by seq, it
becomes the SHA-256 of its 32 bytes and then the entry as text:
seq,change,balance_after,reason,job_id,lot_seq,lot_n,is_sandbox,created_at
with commas and no spaces: numbers in decimal, job_id in lower case, is_sandbox true or false,
created_at in whole microseconds since 1970-01-01 UTC, and nothing where there is no value.
A merged guest and a deleted account keep the ledger they had.

@returns text
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 user_not_found$$;

revoke execute on function public.ledger_digest(uuid) from public, anon, authenticated;
grant execute on function public.ledger_digest(uuid) to service_role;
