-- A job that does not exist for this caller.
begin;
select plan(2);

select throws_ok(
    $$ select rendio.raise_job_not_found('{"job_id": "x"}') $$,
    'PT404', 'job_not_found', 'it raises'
);
do $$
declare
    v_detail text;
begin
    perform rendio.raise_job_not_found('{"job_id": "x"}');
exception
    when sqlstate 'PT404' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(current_setting('story.detail')::jsonb, '{"job_id": "x"}', 'with what was looked for');

select * from finish();
rollback;
