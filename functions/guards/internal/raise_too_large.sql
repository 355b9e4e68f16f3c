create or replace function rendio.raise_too_large(p_argument text, p_limit text)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    raise sqlstate 'PT413' using
        message = 'payload_too_large',
        detail = jsonb_build_object('argument', p_argument, 'limit', p_limit)::text,
        hint = 'Send less.';
end;
$$;

comment on function rendio.raise_too_large(text, text) is
$$Refuse an argument for its size, naming it and the limit.

@raises PT413 payload_too_large$$;

revoke execute on function rendio.raise_too_large(text, text) from public, anon, authenticated;
