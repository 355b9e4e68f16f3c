-- Locks: the rows of the users it settles, passing by whoever is busy: that user is settled by what
-- it does, or by the next run. One whose balance is below its lots is passed by too, so that wrong
-- books stop nobody else's expiry; reconcile_credits() tells what is wrong with them.
create or replace function rendio.settle_expired_credits(p_limit integer default 1000)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_user_ids uuid [] := array(
        select u.id
        from public.users as u
        where u.merged_into is null and u.next_expiry_at < 'infinity' and u.next_expiry_at <= v_now
        order by u.merged_into, u.next_expiry_at  -- as the index does
        limit p_limit
        for no key update skip locked
    );
    v_user_id uuid;
    v_settled integer := 0;
begin
    -- All in one go: a subtransaction for each would slow everybody's snapshots.
    begin
        foreach v_user_id in array v_user_ids loop
            perform rendio.settle_expiry(v_user_id, v_now);
        end loop;
        return cardinality(v_user_ids);
    exception
        when sqlstate 'PT402' then
            raise warning 'Somebody''s books do not agree: each user is settled by itself.';
    end;
    foreach v_user_id in array v_user_ids loop
        begin
            perform rendio.settle_expiry(v_user_id, v_now);
            v_settled := v_settled + 1;
        exception
            when sqlstate 'PT402' then
                raise warning 'The credits of % cannot expire: its books do not agree.', v_user_id;
        end;
    end loop;
    return v_settled;
end;
$$;

comment on function rendio.settle_expired_credits(integer) is
$$Settle the expiries that are due, at most p_limit users; returns how many. Run by cron.$$;

revoke execute on function rendio.settle_expired_credits(integer) from public, anon, authenticated;
