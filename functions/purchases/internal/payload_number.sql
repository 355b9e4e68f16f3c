create or replace function rendio.payload_number(p_payload jsonb, p_key text, p_limit bigint)
returns bigint
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_value jsonb := nullif(p_payload -> p_key, 'null');
begin
    if v_value is null then
        return null;
    elsif jsonb_typeof(v_value) <> 'number'
        or v_value::numeric not between 0 and p_limit
        or v_value::numeric % 1 <> 0 then
        perform rendio.raise_invalid('p_payload', format('%s: 0 to %s', p_key, p_limit));
    end if;
    return v_value::bigint;
end;
$$;

comment on function rendio.payload_number(jsonb, text, bigint) is
$$A whole number of a notification's payload, 0 to p_limit; null when the payload has none.

@raises PT400 invalid_argument$$;

revoke execute on function rendio.payload_number(jsonb, text, bigint)
from public, anon, authenticated;
