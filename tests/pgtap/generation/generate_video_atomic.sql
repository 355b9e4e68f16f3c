-- A video is asked for: credits are taken and the job is made, together and once.
begin;
select plan(81);

create function pg_temp.rows_written_by(p_call text) returns bigint language plpgsql as $$
declare
    v_before bigint;
    v_after bigint;
begin
    select sum(n_tup_ins + n_tup_upd + n_tup_del) into v_before
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    execute p_call;
    select sum(n_tup_ins + n_tup_upd + n_tup_del) into v_after
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    return v_after - v_before;
end $$;

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local timezone = 'UTC';
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform rendio.ensure_partitions();
end $$;

-- Ada has 10 credits and asks for a video at 4.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', '{"seconds": 8}',
        '11111111-0000-4000-8000-000000000001') - 'job_id',
    '{"status": "pending", "credits_used": 4, "replayed": false}', 'Ada gets her job'
);
reset role;
select results_eq(
    $$ select model_id, provider, prompt::text, settings::jsonb, status::text,
           credits_used::integer, credits_refunded::integer, attempt, created_at, times_out_at
       from public.video_jobs where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values ('5f3b1e70-0000-4000-8000-000000000001'::uuid, 'fal', 'A boat.',
       '{"seconds": 8}'::jsonb, 'pending', 4, 0, 0, timestamptz '2030-01-15 08:00:00+00',
       timestamptz '2030-01-15 08:15:00+00') $$,
    'a pending job that waits 15 minutes for somebody to start it'
);
select results_eq(
    $$ select q.seq, q.change::bigint, q.balance_after::bigint, q.reason::text, q.job_id = j.job_id
       from public.quota_log as q join public.video_jobs as j using (user_id)
       where q.user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and q.seq > 1 $$,
    $$ values (2::bigint, -4::bigint, 6::bigint, 'video_generation', true) $$,
    'one ledger entry, which names the job'
);
select results_eq(
    $$ select credits_remaining::bigint, credits_total::bigint, ledger_seq from public.users
       where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values (6::bigint, 10::bigint, 2::bigint) $$, 'four credits less'
);
select matches(
    (select job_id::text from public.video_jobs), '^........-....-7'::text,
    'the job''s id is of version 7'
);

-- The answer is lost; her app asks again with the same key.
set local role authenticated;
select is(
    public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', '{"seconds": 8}',
        '11111111-0000-4000-8000-000000000001'),
    (select jsonb_build_object('job_id', job_id, 'status', 'pending', 'credits_used', 4,
        'replayed', true) from public.video_jobs),
    'a retry gets the same job'
);
reset role;
select is(
    pg_temp.rows_written_by($$ select public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        '{"seconds": 8}', '11111111-0000-4000-8000-000000000001') $$),
    0::bigint, 'and writes nothing'
);
update public.models set is_available = false, cost_per_generation = 40
where id = '5f3b1e70-0000-4000-8000-000000000001';
select is(
    public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', '{"seconds": 8}',
        '11111111-0000-4000-8000-000000000001') - 'job_id',
    '{"status": "pending", "credits_used": 4, "replayed": true}',
    'also when the model was retired meanwhile'
);
delete from public.models where id = '5f3b1e70-0000-4000-8000-000000000001';
select is(
    public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', '{"seconds": 8}',
        '11111111-0000-4000-8000-000000000001') ->> 'replayed',
    'true', 'or is gone altogether'
);
do $$ begin
    perform public.cancel_video_job(user_id, job_id) from public.video_jobs;
end $$;
select is(
    public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', '{"seconds": 8}',
        '11111111-0000-4000-8000-000000000001') ->> 'status',
    'pending', 'and a job that has ended since is still told as it was'
);

-- One key, another request.
select throws_ok(
    format($$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001', %L, %L,
        %L, '11111111-0000-4000-8000-000000000001') $$, model, prompt, settings),
    'PT422', 'idempotency_key_reused', format('another %s under a used key is refused', what)
)
from (values
    ('model', '5f3b1e70-0000-4000-8000-000000000002'::uuid, 'A boat.', '{"seconds": 8}'),
    ('prompt', '5f3b1e70-0000-4000-8000-000000000001', 'A train.', '{"seconds": 8}'),
    ('settings', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', '{"seconds": 4}'),
    ('absence of settings', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null)
) as other (what, model, prompt, settings);
select throws_ok(
    $$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'promo_grant',
       '11111111-0000-4000-8000-000000000001') $$,
    'PT422', 'idempotency_key_reused', 'and so is another function'
);

-- Ben happens to use the same key, and no settings.
set local role authenticated;
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select is(
    public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', 'A dog.', null,
        '11111111-0000-4000-8000-000000000001') ->> 'replayed',
    'false', 'keys are per user'
);
select is(
    (select settings::jsonb from public.video_jobs), '{}', 'no settings are empty settings'
);
select is(
    public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', 'A dog.', '{}',
        '11111111-0000-4000-8000-000000000001') ->> 'replayed',
    'true', 'so both are the same request'
);

-- He spends what is left, to the last credit.
reset role;
update public.models set cost_per_generation = 6 where id = '5f3b1e70-0000-4000-8000-000000000002';
select is(
    public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', 'A cat.', null,
        '11111111-0000-4000-8000-000000000002') ->> 'credits_used',
    '6', 'a new price holds for the next job'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'bbbbbbbb-0000-4000-8000-000000000001'),
    0::bigint, 'the last credit can be spent'
);
select throws_ok(
    $$ select public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000002', 'A fox.', null,
       '11111111-0000-4000-8000-000000000003') $$,
    'PT402', 'insufficient_credits', 'but not one more'
);
do $$
declare
    v_detail text;
begin
    perform public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', 'A fox.', null,
        '11111111-0000-4000-8000-000000000003');
exception
    when sqlstate 'PT402' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb, '{"required": 6, "available": 0}',
    'he is told what it takes and what he has'
);
select is(
    (select count(*)::integer from public.idempotency_log
     where idempotency_key = '11111111-0000-4000-8000-000000000003'),
    0, 'and the key is not used up'
);
do $$ begin
    perform public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 6, 'promo_grant',
        gen_random_uuid());
end $$;
select is(
    public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', 'A fox.', null,
        '11111111-0000-4000-8000-000000000003') ->> 'replayed',
    'false', 'the same call goes through once he has the credits'
);

-- A day later his first key is new.
set local story.now = '2030-01-16 07:59:59.999999+00';
select is(
    public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', 'A dog.', null,
        '11111111-0000-4000-8000-000000000001') ->> 'replayed',
    'true', 'a microsecond before 24 hours the key still answers'
);
set local story.now = '2030-01-16 08:00:00+00';
select throws_ok(
    $$ select public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000002', 'A dog.', null,
       '11111111-0000-4000-8000-000000000001') $$,
    'PT402', 'insufficient_credits', 'after 24 hours it is a new request and costs'
);

-- Limits.
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 1000, 'promo_grant',
        gen_random_uuid());
end $$;
-- {"k": "…"} has 9 characters around its value.
select lives_ok(
    format($$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', %L, %L, gen_random_uuid()) $$, prompt, settings),
    what || ' is allowed'
)
from (values
    ('a prompt of one character', 'x', '{}'),
    ('a prompt of 4,000 wide characters', repeat('ü', 4000), '{}'),
    ('a setting object of 16,384 bytes', 'x', jsonb_build_object('k', repeat('x', 16384 - 9))::text)
) as t (what, prompt, settings);
select throws_ok(
    format($$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', %L, %L, gen_random_uuid()) $$, prompt, settings),
    code, slug, what || ' is refused'
)
from (values
    ('no prompt', null, '{}', 'PT400', 'invalid_argument'),
    ('an empty prompt', '', '{}', 'PT400', 'invalid_argument'),
    ('a blank prompt', '   ', '{}', 'PT400', 'invalid_argument'),
    ('a prompt of other white space', E'\n\t\r', '{}', 'PT400', 'invalid_argument'),
    ('a prompt of 4,001 characters', repeat('x', 4001), '{}', 'PT413', 'payload_too_large'),
    ('a setting object of 16,385 bytes', 'x',
     jsonb_build_object('k', repeat('x', 16385 - 9))::text, 'PT413', 'payload_too_large'),
    ('a setting object of 16,385 bytes in fewer characters', 'x',
     jsonb_build_object('k', repeat('ü', 8188))::text, 'PT413', 'payload_too_large'),
    ('an array of settings', 'x', '[]', 'PT400', 'invalid_argument'),
    ('an array with an object of settings', 'x', '[{}]', 'PT400', 'invalid_argument'),
    ('a JSON null as settings', 'x', 'null', 'PT400', 'invalid_argument'),
    ('a text as settings', 'x', '"fast"', 'PT400', 'invalid_argument'),
    ('a number as settings', 'x', '4', 'PT400', 'invalid_argument')
) as t (what, prompt, settings, code, slug);
select throws_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001', null, 'x', '{}',
       gen_random_uuid()) $$,
    'PT400', 'invalid_argument', 'a model is required'
);
select throws_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000002', 'x', '{}', null) $$,
    'PT400', 'invalid_argument', 'and a key'
);
select throws_ok(
    $$ select public.generate_video_atomic(null, '5f3b1e70-0000-4000-8000-000000000002', 'x', '{}',
       gen_random_uuid()) $$,
    'PT400', 'invalid_argument', 'the service must name a user'
);

-- What does not exist.
select throws_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
       'eeeeeeee-0000-4000-8000-000000000001', 'x', '{}', gen_random_uuid()) $$,
    'PT404', 'model_not_found', 'an unknown model'
);
update public.models set is_available = false;
select throws_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000002', 'x', '{}', gen_random_uuid()) $$,
    'PT404', 'model_not_found', 'a retired one is not sold'
);
update public.models set is_available = true;
select throws_ok(
    $$ select public.generate_video_atomic('99999999-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000002', 'x', '{}', gen_random_uuid()) $$,
    'PT404', 'user_not_found', 'an unknown user'
);
select is(
    (select count(*)::integer from public.idempotency_log
     where user_id = '99999999-0000-4000-8000-000000000001'),
    0, 'leaves nothing behind'
);
update public.users set merged_into = 'bbbbbbbb-0000-4000-8000-000000000001'
where id = 'aaaaaaaa-0000-4000-8000-000000000001';
select throws_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000002', 'x', '{}', gen_random_uuid()) $$,
    'PT409', 'account_merged', 'a guest that was merged spends nothing any more'
);
update public.users set merged_into = null where id = 'aaaaaaaa-0000-4000-8000-000000000001';

-- Who may spend whose credits.
set local role authenticated;
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000002', 'x', '{}', gen_random_uuid()) $$,
    'PT403', 'not_your_account', 'Ben does not spend Ada''s'
);
set local request.jwt.claims = '{"role": "service_role"}';
select throws_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000002', 'x', '{}', gen_random_uuid()) $$,
    'PT401', 'not_authenticated', 'nor does one who only claims to be the service'
);
set local role anon;
select throws_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000002', 'x', '{}', gen_random_uuid()) $$,
    '42501', null, 'anon may not call it at all'
);
set local role service_role;
select lives_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000002', 'x', '{}', gen_random_uuid()) $$,
    'the service may, for any user'
);
reset role;

-- A price by length and resolution.
do $$ begin
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    perform public.add_credits('cccccccc-0000-4000-8000-000000000001', 100, 'promo_grant',
        gen_random_uuid());
end $$;
update public.models
set cost_per_generation = 4,
    price_rule = '{"resolutions": {"720p": 0.5, "1080p": 1.5}, "default_resolution": "720p",
        "default_seconds": 8, "max_seconds": 60}'
where id = '5f3b1e70-0000-4000-8000-000000000002';
create function pg_temp.generate(p_settings jsonb, p_key uuid default gen_random_uuid())
returns jsonb language sql as $$
    select public.generate_video_atomic('cccccccc-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', 'A lake.', p_settings, p_key);
$$;
create temp view cyd as
select u.credits_remaining::bigint, u.ledger_seq, count(j.job_id) as jobs,
    (select count(*) from public.idempotency_log as i where i.user_id = u.id) as keys
from public.users as u left join public.video_jobs as j on j.user_id = u.id
where u.id = 'cccccccc-0000-4000-8000-000000000001'
group by u.id;
select is(
    pg_temp.generate(settings::jsonb, key) - 'job_id',
    jsonb_build_object('status', 'pending', 'credits_used', credits, 'replayed', false), why
)
from (values
    ('{}', 4, 'the defaults', '11111111-0000-4000-8000-000000000040'::uuid),
    ('{"duration": 5, "resolution": "1080p"}', 8, 'seconds at their rate, rounded up',
     '11111111-0000-4000-8000-000000000041'),
    ('{"duration": "20s"}', 10, 'in a form that providers use',
     '11111111-0000-4000-8000-000000000042'),
    ('{"duration": 1}', 4, 'never less than the model''s minimum',
     '11111111-0000-4000-8000-000000000043')
) as t (settings, credits, why, key);
select results_eq(
    $$ select change::bigint, balance_after::bigint from public.quota_log
       where user_id = 'cccccccc-0000-4000-8000-000000000001' and seq > 2 order by seq $$,
    $$ values (-4::bigint, 106::bigint), (-8, 98), (-10, 88), (-4, 84) $$,
    'the ledger has each price'
);
create temp table before_refusals as select * from cyd;
select throws_ok(
    format('select pg_temp.generate(%L)', settings), 'PT400', 'invalid_argument',
    settings || ' is not offered'
)
from (values
    ('{"duration": 61}'), ('{"duration": 0}'), ('{"duration": -8}'), ('{"duration": "long"}'),
    ('{"resolution": "4k"}'), ('{"duration": "NaN"}')
) as t (settings);
select results_eq(
    'select * from cyd', 'select * from before_refusals',
    'no credit, no job, no entry and no key went with those'
);
select throws_ok(
    $$ select pg_temp.generate('{"duration": 57, "resolution": "1080p"}') $$,
    'PT402', 'insufficient_credits', 'what is too long for her credits is refused'
);

-- The rule changes.
update public.models
set price_rule = '{"resolutions": {"4k": 5}, "default_resolution": "4k", "default_seconds": 4,
    "max_seconds": 5}'
where id = '5f3b1e70-0000-4000-8000-000000000002';
select is(
    pg_temp.generate('{"duration": 5, "resolution": "1080p"}',
        '11111111-0000-4000-8000-000000000041') - 'job_id',
    '{"status": "pending", "credits_used": 8, "replayed": true}',
    'a retry is answered with its old price, though neither is offered any more'
);
select results_eq(
    $$ select credits_used::integer from public.video_jobs
       where user_id = 'cccccccc-0000-4000-8000-000000000001' order by credits_used $$,
    $$ values (4), (4), (8), (10) $$, 'jobs keep what they were charged'
);
select is(pg_temp.generate('{}') ->> 'credits_used', '20', 'the next one costs what the rule says now');
do $$ begin
    perform public.cancel_video_job(j.user_id, j.job_id)
    from public.video_jobs as j
    join public.idempotency_log as i on i.job_id = j.job_id
    where i.idempotency_key = '11111111-0000-4000-8000-000000000041';
end $$;
select is(
    (select change::bigint from public.quota_log
     where user_id = 'cccccccc-0000-4000-8000-000000000001' order by seq desc limit 1),
    8::bigint, 'a refund is of what was taken'
);
select is(
    (select credits_remaining from cyd), 72::bigint, 'no more and no less'
);

-- Dee has 10, of which 7 end on 1 February 2030.
update public.models set cost_per_generation = 4, price_rule = null;
set local story.now = '2030-01-20 08:00:00+00';
do $$
declare
    v_dee uuid := 'dddddddd-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_dee, 'dee-phone');
    perform public.add_credits(v_dee, -7, 'admin_adjustment', gen_random_uuid());
    perform public.add_credits(v_dee, 7, 'promo_grant', gen_random_uuid(), '2030-02-01');
end $$;
create function pg_temp.dee_generates() returns jsonb language sql as $$
    select public.generate_video_atomic('dddddddd-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', 'A moor.', null,
        '11111111-0000-4000-8000-000000000050');
$$;
set local story.now = '2030-02-01 00:00:00+00';
do $$
declare
    v_detail text;
begin
    perform pg_temp.dee_generates();
exception
    when sqlstate 'PT402' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb, '{"required": 4, "available": 3}',
    'what has expired does not pay, and is not counted'
);
select results_eq(
    $$ select credits_remaining::bigint, ledger_seq from public.users
       where id = 'dddddddd-0000-4000-8000-000000000001' $$,
    $$ values (10::bigint, 3::bigint) $$, 'the refused call has settled nothing'
);
do $$ begin
    perform public.add_credits('dddddddd-0000-4000-8000-000000000001', 2, 'promo_grant',
        gen_random_uuid());
end $$;
select is(
    pg_temp.dee_generates() - 'job_id',
    '{"status": "pending", "credits_used": 4, "replayed": false}',
    'with two more it goes through'
);
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text, lot_seq, created_at
       from public.quota_log
       where user_id = 'dddddddd-0000-4000-8000-000000000001' and seq > 3 order by seq $$,
    $$ values (4::bigint, -7::bigint, 3::bigint, 'credit_expired', 3::bigint,
        timestamptz '2030-02-01 00:00:00+00'),
       (5, 2, 5, 'promo_grant', null, '2030-02-01 00:00:00+00'),
       (6, -4, 1, 'video_generation', null, '2030-02-01 00:00:00+00') $$,
    'the loss is written before the gift and the charge'
);
select is(
    (select next_expiry_at from public.users where id = 'dddddddd-0000-4000-8000-000000000001'),
    'infinity'::timestamptz, 'nothing else of hers ends'
);
select is(pg_temp.dee_generates() ->> 'replayed', 'true', 'a retry finds it done');

-- Eve has 8 that end on 3 February and asks for one video. A second after they have ended, it
-- is refunded, which settles nothing. Then come calls from a server whose clock is behind: to them
-- too it is as late as it was to her ledger.
set local story.now = '2030-02-02 08:00:00+00';
do $$
declare
    v_eve uuid := 'eeeeeeee-0000-4000-8000-000000000001';
    v_job jsonb;
begin
    perform public.device_check(v_eve, 'eve-phone');
    perform public.add_credits(v_eve, -10, 'admin_adjustment', gen_random_uuid());
    perform public.add_credits(v_eve, 8, 'promo_grant', gen_random_uuid(), '2030-02-03');
    v_job := public.generate_video_atomic(v_eve, '5f3b1e70-0000-4000-8000-000000000002', 'A fen.',
        null, gen_random_uuid());
    perform set_config('story.now', '2030-02-03 00:00:01+00', true);
    perform public.refund_video_job(v_eve, (v_job ->> 'job_id')::uuid);
    perform set_config('story.now', '2030-02-02 23:59:59+00', true);
end $$;
create function pg_temp.eve_generates() returns jsonb language sql as $$
    select public.generate_video_atomic('eeeeeeee-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000002', 'A fen.', null, gen_random_uuid());
$$;
-- A call that could neither be made nor refused nor settled would try again for ever.
set local statement_timeout = '10s';
select lives_ok('select pg_temp.eve_generates()', 'what was refunded pays for one more video');
do $$
declare
    v_detail text;
begin
    perform pg_temp.eve_generates();
exception
    when sqlstate 'PT402' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb, '{"required": 4, "available": 0}',
    'what her ledger has seen expire does not pay for another'
);
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text, lot_seq, created_at
       from public.quota_log
       where user_id = 'eeeeeeee-0000-4000-8000-000000000001' and seq > 4 order by seq $$,
    $$ values (5::bigint, 4::bigint, 8::bigint, 'generation_failed_refund', null::bigint,
        timestamptz '2030-02-03 00:00:01+00'),
       (6, -4, 4, 'credit_expired', 3, '2030-02-03 00:00:01+00'),
       (7, -4, 0, 'video_generation', null, '2030-02-03 00:00:01+00') $$,
    'the loss is written before the charge, neither before the refund'
);
set local statement_timeout = 0;

select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'hold_older_than_sweep' $$,
    'the books agree, but for holds that nobody swept'
);

select * from finish();
rollback;
