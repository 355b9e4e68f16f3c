-- What an operator set.
begin;
select plan(20);

insert into public.app_settings (key, value) values ('story_limit', '{"per_minute": 5}');
select is(rendio.setting('story_limit'), '{"per_minute": 5}', 'a setting is its JSON value');
select is(rendio.setting('no_such_setting'), null, 'a missing one is null');
select is(rendio.setting(null), null, 'and so is none');
select results_eq(
    $$ select key, value from public.app_settings where key <> 'story_limit' order by key $$,
    $$ values
       ('client_address_header', '"x-forwarded-for"'::jsonb),
       ('initial_grant', '10'), ('job_notifications', '"both"'), ('rate_limits', 'true'),
       ('refund_shortfall', '"debt"'),
       ('sandbox_credit_cap', '100'),
       ('sandbox_purchases', '"capped"'), ('sandbox_testers', '[]') $$,
    'rendio comes with these settings'
);
select throws_ok(
    $$ insert into public.app_settings (key, value) values ('Not a key', '1') $$,
    '23514', null, 'a key is a plain name'
);

-- A slip is refused where it is made, not in the calls that would read it.
select throws_ok(
    format('update public.app_settings set value = %L where key = %L', slip.value, slip.key),
    '23514', null, format('%s cannot be %s', slip.key, slip.value)
)
from (values
    ('initial_grant', '"ten"'), ('initial_grant', '-1'), ('initial_grant', '1.5'),
    ('initial_grant', '1e9'), ('sandbox_credit_cap', 'null'), ('sandbox_purchases', '"open"'),
    ('sandbox_purchases', 'true'), ('sandbox_testers', '"everybody"'),
    ('refund_shortfall', '"jail"'), ('rate_limits', '"no"'), ('job_notifications', '"on"'),
    ('job_notifications', 'null'), ('rate_limits', '{"generate": "no"}'),
    ('rate_limits', '[false]'), ('client_address_header', '"X-Real-IP"')
) as slip (key, value);

select * from finish();
rollback;
