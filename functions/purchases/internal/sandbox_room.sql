create or replace function rendio.sandbox_room(p_account_id uuid)
returns integer
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_cap integer := coalesce(rendio.setting('sandbox_credit_cap')::integer, 0);
begin
    return greatest(
        0,
        v_cap - (
            select coalesce(sum(t.credits_added), 0)
            from public.iap_transactions as t
            where t.environment = 'Sandbox'
                and t.user_id in (select rendio.people_of(p_account_id))
        )
    );
end;
$$;

comment on function rendio.sandbox_room(uuid) is
$$How many credits sandbox purchases may still bring an account and its guests under the cap.$$;

revoke execute on function rendio.sandbox_room(uuid) from public, anon, authenticated;
