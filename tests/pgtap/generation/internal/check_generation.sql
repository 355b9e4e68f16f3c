-- What is wrong with the arguments of a generation, told one at a time.
begin;
select plan(14);

create function pg_temp.refused(
    p_model_id uuid, p_prompt text, p_settings jsonb, p_idempotency_key uuid
) returns text language plpgsql as $$
declare
    v_detail text;
begin
    perform rendio.check_generation(p_model_id, p_prompt, p_settings, p_idempotency_key);
    return null;
exception
    when sqlstate 'PT400' or sqlstate 'PT413' then
        get stacked diagnostics v_detail = pg_exception_detail;
        return concat_ws(' ', sqlstate, v_detail::jsonb ->> 'argument');
end $$;

select is(
    pg_temp.refused(model, prompt, settings, key), refusal, coalesce(what || ' is refused', 'right')
)
from (values
    ('11111111-0000-4000-8000-000000000001'::uuid, 'A boat.'::text, '{}'::jsonb,
        '22222222-0000-4000-8000-000000000001'::uuid, null::text, null::text),
    ('11111111-0000-4000-8000-000000000001', repeat('ä', 4000), null,
        '22222222-0000-4000-8000-000000000001', null, null),
    ('11111111-0000-4000-8000-000000000001', 'A boat.',
        jsonb_build_object('a', repeat('a', 16384 - length('{"a": ""}'))),
        '22222222-0000-4000-8000-000000000001', null, null),
    (null, 'A boat.', '{}', '22222222-0000-4000-8000-000000000001', 'PT400 p_model_id', 'no model'),
    ('11111111-0000-4000-8000-000000000001', 'A boat.', '{}', null,
        'PT400 p_idempotency_key', 'no key'),
    ('11111111-0000-4000-8000-000000000001', null, '{}', '22222222-0000-4000-8000-000000000001',
        'PT400 p_prompt', 'no prompt'),
    ('11111111-0000-4000-8000-000000000001', E' \n\t', '{}', '22222222-0000-4000-8000-000000000001',
        'PT400 p_prompt', 'a blank prompt'),
    ('11111111-0000-4000-8000-000000000001', '', '{}', '22222222-0000-4000-8000-000000000001',
        'PT400 p_prompt', 'an empty prompt'),
    ('11111111-0000-4000-8000-000000000001', U&' \3000', '{}',
        '22222222-0000-4000-8000-000000000001', null, null),
    ('11111111-0000-4000-8000-000000000001', repeat('ä', 4001), '{}',
        '22222222-0000-4000-8000-000000000001', 'PT413 p_prompt', 'a long prompt'),
    ('11111111-0000-4000-8000-000000000001', 'A boat.', '[]',
        '22222222-0000-4000-8000-000000000001', 'PT400 p_settings', 'a list of settings'),
    ('11111111-0000-4000-8000-000000000001', 'A boat.', 'null',
        '22222222-0000-4000-8000-000000000001', 'PT400 p_settings', 'a JSON null'),
    ('11111111-0000-4000-8000-000000000001', 'A boat.',
        jsonb_build_object('a', repeat('a', 16385 - length('{"a": ""}'))),
        '22222222-0000-4000-8000-000000000001', 'PT413 p_settings', 'settings over 16 KB'),
    (null, null, null, null, 'PT400 p_model_id', 'the first of several')
) as call (model, prompt, settings, key, refusal, what);

select * from finish();
rollback;
