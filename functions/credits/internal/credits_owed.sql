create or replace function rendio.credits_owed(p_user_id uuid)
returns bigint
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select coalesce(sum(greatest(0, r.revoked - r.recovered - r.repaid - r.waived)), 0)::bigint
        from public.purchase_revocations as r
        where r.user_id = p_user_id and r.policy <> 'forgive'
    );
end;
$$;

comment on function rendio.credits_owed(uuid) is
$$Credits of refunded purchases that were spent before, and that the next purchase will pay.$$;

revoke execute on function rendio.credits_owed(uuid) from public, anon, authenticated;
