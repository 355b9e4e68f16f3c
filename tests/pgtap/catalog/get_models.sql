-- The list of what is on sale, and how not to send it twice.
begin;
select plan(21);

-- Anybody may look.
set local role anon;
select is(
    public.get_models() -> 'models',
    '[{"id": "5f3b1e70-0000-4000-8000-000000000002", "name": "Sora 2", "category": "cinematic",
       "description": "Realistic scenes with speech and sound from a written scene.",
       "cost_per_generation": 4, "price_rule": null, "provider": "fal", "is_featured": true,
       "thumbnail_url": null},
      {"id": "5f3b1e70-0000-4000-8000-000000000001", "name": "Veo 3.1", "category": "cinematic",
       "description": "Cinematic clips with sound from a written scene.",
       "cost_per_generation": 4, "price_rule": null, "provider": "fal", "is_featured": true,
       "thumbnail_url": null}]',
    'anon sees the models of the plans, by name, without the provider''s names for them'
);
select is(
    public.get_models() - 'models' - 'etag', '{"not_modified": false}', 'an answer has these keys'
);
select matches(
    public.get_models() ->> 'etag', '^"[!#-~]+"$'::text, 'the tag is a strong one, with its quotes'
);
do $$ begin
    perform set_config('story.etag', public.get_models() ->> 'etag', true);
end $$;

-- The app comes back with the tag.
select is(
    public.get_models(current_setting('story.etag')),
    jsonb_build_object('etag', current_setting('story.etag'), 'not_modified', true, 'models', null),
    'with the tag the list is not sent again'
);
select is(
    public.get_models('W/' || current_setting('story.etag')) ->> 'not_modified', 'true',
    'a proxy may have marked it weak'
);
select is(
    public.get_models('"a", W/"b" , ' || current_setting('story.etag')) ->> 'not_modified', 'true',
    'it may stand in a list'
);
select is(
    public.get_models('"a", W/' || current_setting('story.etag')) ->> 'not_modified', 'true',
    'and be weak in it'
);
select is(public.get_models('*') ->> 'not_modified', 'true', 'an asterisk matches any');
select is(
    public.get_models('"another"') ->> 'not_modified', 'false', 'another tag does not match'
);
select is(public.get_models('') ->> 'not_modified', 'false', 'an empty header neither');
select is(
    public.get_models(btrim(current_setting('story.etag'), '"')) ->> 'not_modified', 'false',
    'a tag without its quotes is no tag'
);
select lives_ok(
    $$ select public.get_models(repeat('x', 2048)) $$, 'the header may have 2,048 characters'
);
select throws_ok(
    $$ select public.get_models(repeat('x', 2049)) $$, 'PT413', 'payload_too_large', 'not 2,049'
);

-- The catalogue changes: the order is featured first, then by name, then by id.
reset role;
delete from public.models;
insert into public.models (id, name, category, provider, cost_per_generation, is_featured) values
('00000000-0000-4000-8000-000000000003', 'Zoom', 'c', 'p', 1, true),
('00000000-0000-4000-8000-000000000002', 'Abc', 'c', 'p', 1, false),
('00000000-0000-4000-8000-000000000001', 'Abc', 'c', 'p', 1, false),
('00000000-0000-4000-8000-000000000004', 'Aaa', 'c', 'p', 1, true);
insert into public.models (name, category, provider, cost_per_generation, is_available)
values ('Retired', 'c', 'p', 1, false);
set local role authenticated;
select is(
    (select string_agg(right(m ->> 'id', 1), '' order by n)
     from jsonb_array_elements(public.get_models() -> 'models') with ordinality as t (m, n)),
    '4312', 'featured first, then by name, equal names by id; the retired one is left out'
);
select is(
    public.get_models(current_setting('story.etag')) ->> 'not_modified', 'false',
    'the old tag matches no more'
);
reset role;
delete from public.models;
set local role service_role;
select is(
    public.get_models() -> 'models', '[]', 'a catalogue with nothing on sale is empty, not null'
);
reset role;

-- Under PostgREST the request's header asks, and the answer's tell.
set local request.method = 'GET';
set local request.headers = '{"accept": "application/json"}';
select is(public.get_models() ->> 'not_modified', 'false', 'a request without a tag gets the list');
select is(
    current_setting('response.headers')::jsonb #> '{0,ETag}', public.get_models() -> 'etag',
    'and its tag'
);
do $$ begin
    perform set_config('request.headers',
        jsonb_build_object('if-none-match', public.get_models() -> 'etag')::text, true);
end $$;
select is(public.get_models() ->> 'not_modified', 'true', 'one with the tag gets nothing');
select is(current_setting('response.status'), '304', 'and is told so');
set local request.method = 'POST';
select is(public.get_models() ->> 'not_modified', 'false', 'a POST is no question of that kind');

select * from finish();
rollback;
