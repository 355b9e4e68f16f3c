create or replace function rendio.check_page(p_limit integer)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_limit is null or p_limit not between 1 and 100 then
        perform rendio.raise_invalid('p_limit', '1 to 100');
    end if;
end;
$$;

comment on function rendio.check_page(integer) is
$$Refuse a page size outside 1 to 100.

@raises PT400 invalid_argument$$;

revoke execute on function rendio.check_page(integer) from public, anon, authenticated;
