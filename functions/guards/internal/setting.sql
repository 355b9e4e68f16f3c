create or replace function rendio.setting(p_key text)
returns jsonb
language sql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select s.value from public.app_settings as s where s.key = p_key;
$$;

comment on function rendio.setting(text) is
$$The value of a setting, or null when there is no such row.$$;

revoke execute on function rendio.setting(text) from public, anon, authenticated;
