-- A refused argument is named, with its rule.
begin;
select plan(3);

select throws_ok(
    $$ select rendio.raise_invalid('p_limit', '1 to 100') $$, 'PT400', 'invalid_argument',
    'it raises, whatever it is asked'
);
do $$
declare
    v_detail text;
    v_hint text;
begin
    perform rendio.raise_invalid('p_limit', '1 to "100"');
exception
    when sqlstate 'PT400' then
        get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
        perform set_config('story.detail', v_detail, true), set_config('story.hint', v_hint, true);
end $$;
select is(
    current_setting('story.detail')::jsonb, '{"argument": "p_limit", "rule": "1 to \"100\""}',
    'the detail is JSON that names argument and rule'
);
select isnt(current_setting('story.hint'), '', 'and there is a hint');

select * from finish();
rollback;
