-- What a video would cost, what would pay for it, and what would stop it; nothing is written.
begin;
set local timezone = 'UTC';
select plan(28);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;

-- Ada has 10, and 3 more until 1 February. Veo costs 4, Sora by length and resolution.
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 3, 'promo_grant',
        gen_random_uuid(), '2030-02-01');
end $$;
update public.models
set price_rule = '{"resolutions": {"720p": 0.5, "1080p": 1.5}, "default_resolution": "720p",
    "default_seconds": 8, "max_seconds": 60}'
where id = '5f3b1e70-0000-4000-8000-000000000002';
create temp table written as
select sum(n_tup_ins + n_tup_upd + n_tup_del) as rows from pg_stat_xact_user_tables
where schemaname in ('public', 'rendio');
create function pg_temp.quote(p_model integer, p_settings jsonb) returns jsonb language sql as $$
    select public.quote_generation('aaaaaaaa-0000-4000-8000-000000000001',
        ('5f3b1e70-0000-4000-8000-00000000000' || p_model)::uuid, p_settings);
$$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    pg_temp.quote(1, null),
    '{"credits": 4, "credits_remaining": 13, "refusal": null, "lots": [
        {"seq": 2, "n": 1, "kind": "promotional", "credits": 3,
         "expires_at": "2030-02-01T00:00:00+00:00"},
        {"seq": 1, "n": 1, "kind": "promotional", "credits": 1, "expires_at": null}
    ]}',
    'the price, and the lots that would pay, in their order'
);
select is(pg_temp.quote(2, settings::jsonb) ->> 'credits', credits, settings || ' costs ' || credits)
from (values
    ('{}', '4'), ('{"duration": 20}', '10'), ('{"resolution": "1080p"}', '12'),
    ('{"duration": "8.5s", "resolution": "1080p"}', '13')
) as t (settings, credits);
select is(
    pg_temp.quote(2, '{"resolution": "1080p", "duration": 9}'),
    '{"credits": 14, "credits_remaining": 13, "refusal": "insufficient_credits", "lots": []}',
    'too dear: no lots, and the error that generating would raise'
);
select throws_ok(
    format('select pg_temp.quote(2, %L)', settings), 'PT400', 'invalid_argument',
    settings || ' is not offered'
)
from (values ('{"duration": 61}'), ('{"resolution": "4k"}'), ('{"duration": "long"}')) as t (settings);
select lives_ok(
    $$ select pg_temp.quote(1, '{"duration": 61, "resolution": "4k"}') $$,
    'a model without a rule has no opinion'
);

-- When the lot ends, it no longer pays, though nobody has settled it.
set local story.now = '2030-02-01 00:00:00+00';
select is(
    pg_temp.quote(1, null) - 'credits',
    '{"credits_remaining": 10, "refusal": null, "lots": [
        {"seq": 1, "n": 1, "kind": "promotional", "credits": 4, "expires_at": null}]}',
    'what has expired is not counted'
);
select is(
    pg_temp.quote(2, '{"duration": 21}') ->> 'refusal', 'insufficient_credits', 'and does not pay'
);
reset role;
select is(
    (select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_xact_user_tables
     where schemaname in ('public', 'rendio')),
    (select rows from written), 'all this has written nothing'
);

-- Then she does it, and it is as quoted.
create temp table quoted as select pg_temp.quote(2, '{"resolution": "1080p", "duration": 5}') as quote;
create temp table done as
select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
    '5f3b1e70-0000-4000-8000-000000000002', 'A boat.', '{"resolution": "1080p", "duration": 5}',
    gen_random_uuid()) as answer;
select is(answer -> 'credits_used', quote -> 'credits', 'the price') from done, quoted;
select is((quote ->> 'credits')::integer, 8, 'five seconds at one and a half') from quoted;
do $$ begin
    perform rendio.fold_lots('aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select results_eq(
    $$ select lot_seq, lot_n, credits from public.credit_draws order by n $$,
    $$ select (l ->> 'seq')::bigint, (l ->> 'n')::smallint, (l ->> 'credits')::bigint
       from quoted, jsonb_array_elements(quote -> 'lots') with ordinality as t (l, n) order by n $$,
    'and the lots'
);

-- A guest who was merged.
update public.users set merged_into = 'bbbbbbbb-0000-4000-8000-000000000001'
where id = 'aaaaaaaa-0000-4000-8000-000000000001';
select is(
    pg_temp.quote(1, null) ->> 'refusal', 'account_merged', 'is told so, before the balance matters'
);
update public.users set merged_into = null where id = 'aaaaaaaa-0000-4000-8000-000000000001';

-- Limits, and what does not exist.
select throws_ok(
    format('select pg_temp.quote(1, %L)', settings), code, slug, why
)
from (values
    ('[]'::jsonb, 'PT400', 'invalid_argument', 'settings are an object'),
    (jsonb_build_object('k', repeat('x', 16384)), 'PT413', 'payload_too_large', 'of 16 KB at most')
) as t (settings, code, slug, why);
select throws_ok(
    $$ select pg_temp.quote(9, '{}') $$, 'PT404', 'model_not_found', 'an unknown model'
);
update public.models set is_available = false where id = '5f3b1e70-0000-4000-8000-000000000002';
select throws_ok(
    $$ select pg_temp.quote(2, '{"duration": 99}') $$, 'PT404', 'model_not_found',
    'a retired one has no price, whatever the settings'
);
select throws_ok(
    $$ select public.quote_generation('aaaaaaaa-0000-4000-8000-000000000001', null, '{}') $$,
    'PT400', 'invalid_argument', 'a model is required'
);
select throws_ok(
    $$ select public.quote_generation('99999999-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000001', '{}') $$,
    'PT404', 'user_not_found', 'an unknown user'
);
select throws_ok(
    $$ select public.quote_generation(null, '5f3b1e70-0000-4000-8000-000000000001', '{}') $$,
    'PT400', 'invalid_argument', 'the service must say whose credits'
);

-- Who may ask.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.quote_generation('bbbbbbbb-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000001', '{}') $$,
    'PT403', 'not_your_account', 'Ben''s balance is not hers to see'
);
set local request.jwt.claims = '';
select throws_ok(
    $$ select pg_temp.quote(1, '{}') $$, 'PT401', 'not_authenticated', 'an identity is required'
);
set local role anon;
select throws_ok(
    $$ select public.quote_generation('aaaaaaaa-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000001', '{}') $$,
    '42501', null, 'anon may not ask'
);
set local role service_role;
select is(
    public.quote_generation('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', null) -> 'credits_remaining',
    '10', 'the service sees anyone''s'
);
reset role;

select * from finish();
rollback;
