create or replace function rendio.next_uuid(p_id uuid)
returns uuid
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_bytes bytea := uuid_send(p_id);
    v_byte integer;
begin
    for v_n in reverse 15..0 loop
        v_byte := get_byte(v_bytes, v_n);
        if v_byte < 255 then
            return encode(set_byte(v_bytes, v_n, v_byte + 1), 'hex')::uuid;
        end if;
        v_bytes := set_byte(v_bytes, v_n, 0);
    end loop;
    return null;
end;
$$;

comment on function rendio.next_uuid(uuid) is
$$The id after this one, in the order in which they sort; null after the last.$$;

revoke execute on function rendio.next_uuid(uuid) from public, anon, authenticated;
