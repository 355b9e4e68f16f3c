create or replace function rendio.answer_cached(p_etag text, p_not_modified boolean)
returns void
language plpgsql
stable
parallel unsafe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform rendio.add_response_headers(
        jsonb_build_object('ETag', p_etag, 'Cache-Control', 'max-age=3600')
    );
    if p_not_modified then
        perform set_config('response.status', '304', true);
    end if;
end;
$$;

comment on function rendio.answer_cached(text, boolean) is
$$Tell PostgREST the tag of what is answered, that it holds for an hour, and 304 when the caller has
it already.$$;

revoke execute on function rendio.answer_cached(text, boolean) from public, anon, authenticated;
