-- What an operator set.
begin;
select plan(5);

insert into public.app_settings (key, value) values ('story_limit', '{"per_minute": 5}');
select is(rendio.setting('story_limit'), '{"per_minute": 5}', 'a setting is its JSON value');
select is(rendio.setting('no_such_setting'), null, 'a missing one is null');
select is(rendio.setting(null), null, 'and so is none');
select results_eq(
    $$ select key, value from public.app_settings where key <> 'story_limit' order by key $$,
    $$ values
       ('initial_grant', '10'::jsonb), ('sandbox_credit_cap', '100'),
       ('sandbox_purchases', '"capped"'), ('sandbox_testers', '[]') $$,
    'rendio comes with these settings'
);
select throws_ok(
    $$ insert into public.app_settings (key, value) values ('Not a key', '1') $$,
    '23514', null, 'a key is a plain name'
);

select * from finish();
rollback;
