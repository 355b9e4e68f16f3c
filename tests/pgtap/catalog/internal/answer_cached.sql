-- What PostgREST is told about an answer that a caller may keep.
begin;
select plan(4);

do $$ begin perform rendio.answer_cached('"tag"', false); end $$;
select is(
    current_setting('response.headers')::jsonb,
    '[{"ETag": "\"tag\""}, {"Cache-Control": "max-age=3600"}]', 'its tag, and that it holds an hour'
);
select is(
    coalesce(current_setting('response.status', true), ''), '', 'the status of an answer is not ours'
);
do $$ begin perform rendio.answer_cached('"tag"', true); end $$;
select is(current_setting('response.status'), '304', 'but for a caller who has it already');
select is(
    current_setting('response.headers')::jsonb #>> '{0,ETag}', '"tag"', 'who is told its tag again'
);

select * from finish();
rollback;
