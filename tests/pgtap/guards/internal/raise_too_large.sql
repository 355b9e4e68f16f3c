-- An argument that is too large is named, with its limit.
begin;
select plan(2);

select throws_ok(
    $$ select rendio.raise_too_large('p_prompt', '4000 characters') $$,
    'PT413', 'payload_too_large', 'it raises, whatever it is asked'
);
do $$
declare
    v_detail text;
begin
    perform rendio.raise_too_large('p_prompt', '4000 characters');
exception
    when sqlstate 'PT413' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb,
    '{"argument": "p_prompt", "limit": "4000 characters"}',
    'the detail is JSON that names argument and limit'
);

select * from finish();
rollback;
