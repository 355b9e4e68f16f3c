-- Headers of the answer, where PostgREST reads them.
begin;
select plan(5);

do $$ begin perform rendio.add_response_headers('{}'); end $$;
select is(
    nullif(current_setting('response.headers', true), ''), null, 'none are none'
);
do $$ begin perform rendio.add_response_headers('{"A": "1"}'); end $$;
select is(current_setting('response.headers')::jsonb, '[{"A": "1"}]', 'one is sent');
do $$ begin perform rendio.add_response_headers('{"B": "2", "C": "3"}'); end $$;
select is(
    current_setting('response.headers')::jsonb, '[{"A": "1"}, {"B": "2"}, {"C": "3"}]',
    'others come beside it'
);
do $$ begin perform rendio.add_response_headers('{"B": "4"}'); end $$;
select is(
    current_setting('response.headers')::jsonb, '[{"A": "1"}, {"C": "3"}, {"B": "4"}]',
    'one that is set again is replaced'
);
do $$ begin perform rendio.add_response_headers('{}'); end $$;
select is(jsonb_array_length(current_setting('response.headers')::jsonb), 3, 'none change nothing');

select * from finish();
rollback;
