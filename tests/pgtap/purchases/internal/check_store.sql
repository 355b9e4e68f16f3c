-- There are two stores, each with two environments.
begin;
select plan(12);

select lives_ok(
    format($$ select rendio.check_store(%L, %L) $$, store, environment),
    format('%s has a %s', store, environment)
)
from unnest(array['app_store', 'google_play']) as store,
    unnest(array['Production', 'Sandbox']) as environment;
select throws_ok(
    format($$ select rendio.check_store(%L, %L) $$, store, environment),
    'PT400', 'invalid_argument', what
)
from (values
    ('no store', null, 'Production'),
    ('an empty one', '', 'Production'),
    ('another store', 'stripe', 'Production'),
    ('a store in other letters', 'App_Store', 'Production'),
    ('no environment', 'app_store', null),
    ('another environment', 'app_store', 'Xcode'),
    ('an environment in other letters', 'google_play', 'sandbox')
) as t (what, store, environment);

do $$
declare
    v_detail text;
begin
    perform rendio.check_store('app_store', 'Xcode');
exception
    when sqlstate 'PT400' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select matches(current_setting('story.detail'), '"p_environment"', 'it says which of the two');

select * from finish();
rollback;
