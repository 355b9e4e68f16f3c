-- One month's partition per statement, newest first from p_until, so that a page costs what it
-- shows and not what the ledger's history holds. Ends at entry 1, at p_from, at the account's first
-- month, or when the page is full.
create or replace function rendio.ledger_page(
    p_user public.users,
    p_until timestamptz,
    p_before_seq bigint,
    p_limit integer,
    p_from timestamptz default '-infinity'
)
returns setof public.quota_log
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_last timestamptz := least(p_until, p_user.ledger_at);
    v_first timestamptz := greatest(p_from, date_trunc('month', p_user.created_at, 'UTC'));
    v_month timestamptz;
    v_next timestamptz;
    v_wanted integer := p_limit;
    v_entry public.quota_log;
begin
    if coalesce(p_user.ledger_seq, 0) = 0 or v_last < v_first then
        return;
    end if;
    v_month := date_trunc('month', v_last, 'UTC');
    v_next := v_month + interval '32 days';
    v_next := date_trunc('month', v_next, 'UTC');

    loop
        for v_entry in
            select *
            from public.quota_log as q
            where q.user_id = p_user.id
                and q.created_at >= greatest(v_month, v_first)
                and q.created_at < v_next
                and q.created_at <= v_last
                and q.seq < p_before_seq
            order by q.created_at desc, q.seq desc
            limit v_wanted
        loop
            v_wanted := v_wanted - 1;
            return next v_entry;
        end loop;

        exit when v_wanted = 0 or v_entry.seq = 1 or v_month <= v_first;
        v_next := v_month;
        v_month := date_trunc('month', v_month - interval '1 day', 'UTC');
    end loop;
end;
$$;

comment on function rendio.ledger_page(
    public.users, timestamptz, bigint, integer, timestamptz
) is
$$A user's ledger entries from p_from to p_until, both included, with seq below p_before_seq,
newest first.$$;

revoke execute on function rendio.ledger_page(
    public.users, timestamptz, bigint, integer, timestamptz
) from public, anon, authenticated;
