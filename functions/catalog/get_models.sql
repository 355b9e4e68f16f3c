-- Stable, so both reads see one snapshot: a tag never stands over another list. With a matching
-- tag the list is not read at all.
create or replace function public.get_models(p_if_none_match text default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_is_get boolean := current_setting('request.method', true) in ('GET', 'HEAD');
    v_if_none_match text := p_if_none_match;
    v_etag text;
    v_matches boolean;
begin
    if v_is_get then
        v_if_none_match := coalesce(p_if_none_match, rendio.request_header('if-none-match'));
    end if;
    if length(v_if_none_match) > 2048 then
        perform rendio.raise_too_large('p_if_none_match', '2048 characters');
    end if;
    select c.etag into v_etag from public.catalog_version as c where c.singleton;
    -- The header's grammar: *, or a list of tags, each perhaps marked weak (RFC 9110, 13.1.2).
    v_matches := btrim(v_if_none_match) = '*'
        or v_etag = any (regexp_split_to_array(btrim(v_if_none_match), '\s*,\s*(W/)?|^W/'));
    if v_is_get then
        perform rendio.answer_cached(v_etag, v_matches and p_if_none_match is null);
    end if;

    if v_matches then
        return jsonb_build_object('etag', v_etag, 'not_modified', true, 'models', null);
    end if;
    return jsonb_build_object(
        'etag', v_etag,
        'not_modified', false,
        'models', (
            select coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'id', m.id,
                        'name', m.name,
                        'category', m.category,
                        'description', m.description,
                        'cost_per_generation', m.cost_per_generation,
                        'price_rule', m.price_rule,
                        'provider', m.provider,
                        'is_featured', m.is_featured,
                        'thumbnail_url', m.thumbnail_url
                    )
                    order by m.is_featured desc, m.name, m.id
                ),
                '[]'
            )
            from public.models as m
            where m.is_available
        )
    );
end;
$$;

comment on function public.get_models(text) is
$$The models on sale, featured first, then by name.

p_if_none_match: the If-None-Match header, or the etag of the last answer. When nothing has changed
since, not_modified is true, models null, and the list is not read. Where PostgREST passes the
request's headers on, the header is read from there, and a GET is answered 304, with its ETag and
Cache-Control.

@returns {etag: text, not_modified: boolean, models: [model]?}
@shape model {id: uuid, name: text, category: text, description: text?,
    cost_per_generation: integer, price_rule: jsonb?, provider: text, is_featured: boolean,
    thumbnail_url: text?}
@raises PT413 payload_too_large$$;

revoke execute on function public.get_models(text) from public, anon, authenticated;
grant execute on function public.get_models(text) to anon, authenticated, service_role;
