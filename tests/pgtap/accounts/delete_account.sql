-- Ada leaves: what is hers goes, with the guests that had become hers; the ledger stays.
begin;
select plan(31);

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
set local story.now = '2030-01-15 08:00:00+00';
-- Ada's account has a job at the provider, the tablet that went into it one that waits.
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_tablet uuid := 'aaaaaaaa-0000-4000-8000-000000000002';
    v_veo uuid := '5f3b1e70-0000-4000-8000-000000000001';
    v_job uuid;
begin
    perform rendio.ensure_partitions();
    delete from public.video_jobs;
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check(v_tablet, 'ada-tablet');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    v_job := public.generate_video_atomic(v_ada, v_veo, 'running', null, gen_random_uuid())
        ->> 'job_id';
    perform public.start_video_job(v_ada, v_job, 'fal-1');
    v_job := public.generate_video_atomic(v_ada, v_veo, 'running too', null, gen_random_uuid())
        ->> 'job_id';
    perform public.start_video_job(v_ada, v_job, 'fal-2');
    perform public.generate_video_atomic(v_tablet, v_veo, 'waiting', null, gen_random_uuid());
    perform public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001', v_veo, 'bens',
        null, gen_random_uuid());
    perform public.link_apple_account(v_ada, 'ada-sub', 'ada@example.com');
    perform public.link_apple_account(v_tablet, 'ada-sub');
    perform set_config('story.running', job_id::text, true) from public.video_jobs
    where prompt = 'running';
end $$;

-- Whose account it is.
set local role anon;
select throws_ok(
    $$ select public.delete_account('aaaaaaaa-0000-4000-8000-000000000001') $$, '42501', null,
    'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '';
select throws_ok(
    $$ select public.delete_account('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT401', 'not_authenticated', 'nobody deletes nothing'
);
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.delete_account('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT403', 'not_your_account', 'Ben does not delete Ada'
);
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.delete_account('aaaaaaaa-0000-4000-8000-000000000002') $$,
    'PT403', 'not_your_account', 'Ada does not delete the tablet''s guest by itself'
);
set local role service_role;
select throws_ok(
    $$ select public.delete_account('aaaaaaaa-0000-4000-8000-000000000002') $$,
    'PT409', 'account_merged', 'and neither does the service: it is a part of the account'
);
select throws_ok(
    $$ select public.delete_account('99999999-0000-4000-8000-000000000001') $$,
    'PT404', 'user_not_found', 'an unknown account'
);
select throws_ok(
    $$ select public.delete_account(null) $$, 'PT400', 'invalid_argument', 'none at all'
);

-- Ada does it.
set local story.now = '2030-01-16 08:00:00+00';
set local role authenticated;
select is(
    public.delete_account('aaaaaaaa-0000-4000-8000-000000000001'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001", "deleted": true, "replayed": false}',
    'the account is deleted'
);
reset role;
select results_eq(
    $$ select left(id::text, 1) || right(id::text, 1), credits_remaining::bigint, deleted_at
       from public.users order by id $$,
    $$ values ('a1', 0::bigint, timestamptz '2030-01-16 08:00:00+00'),
       ('a2', 0, '2030-01-16 08:00:00+00'), ('b1', 6, null) $$,
    'and so is the guest; Ben is as he was'
);
select results_eq(
    $$ select status::text, error_code::text, prompt::text from public.video_jobs
       where user_id <> 'bbbbbbbb-0000-4000-8000-000000000001' order by status desc $$,
    $$ values ('processing', null::text, ''), ('processing', null, ''), ('failed', 'cancelled', '')
       $$,
    'the guest''s job is cancelled, those at the provider go on, and none says what it was'
);
select results_eq(
    $$ select identifier, email, initial_grant_claimed from public.account_identities
       where user_id <> 'bbbbbbbb-0000-4000-8000-000000000001' order by kind, initial_grant_claimed,
           user_id $$,
    $$ values (rendio.forgotten('ada-sub'), null::text, true),
       (rendio.forgotten('ada-phone'), null, true), (rendio.forgotten('ada-tablet'), null, true) $$,
    'three digests are left of who she was'
);
select results_eq(
    $$ select q.user_id, q.change::bigint, q.reason::text from public.quota_log as q
       where q.created_at = '2030-01-16 08:00:00+00' order by q.user_id desc, q.seq $$,
    $$ values
       ('aaaaaaaa-0000-4000-8000-000000000002'::uuid, 4::bigint, 'generation_failed_refund'),
       ('aaaaaaaa-0000-4000-8000-000000000002', -4, 'guest_merge_out'),
       ('aaaaaaaa-0000-4000-8000-000000000001', 4, 'guest_merge_in'),
       ('aaaaaaaa-0000-4000-8000-000000000001', -12, 'credit_expired') $$,
    'what was left is lost, the refund of the cancelled job included'
);
select is(
    (select count(*)::integer from public.idempotency_log
     where user_id <> 'bbbbbbbb-0000-4000-8000-000000000001'),
    0, 'answers to her calls are gone'
);
select is(
    (select count(*)::integer from public.quota_log
     where user_id <> 'bbbbbbbb-0000-4000-8000-000000000001'),
    11, 'the ledger is whole'
);
select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'hold_older_than_sweep' $$,
    'and the books agree, but for holds that nobody swept'
);

-- Again: a hook that is delivered twice.
set local role service_role;
select is(
    public.delete_account('aaaaaaaa-0000-4000-8000-000000000001'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001", "deleted": true, "replayed": true}',
    'a second time there is nothing to do'
);
reset role;
select is(
    pg_temp.rows_written_by(
        $$ select public.delete_account('aaaaaaaa-0000-4000-8000-000000000001') $$),
    0::bigint, 'and nothing is written'
);

-- The provider delivers one job and fails the other.
set local story.now = '2030-01-16 09:00:00+00';
select is(
    public.complete_video_job('fal', 'fal-1', 'https://v.test/1', 'https://v.test/2') ->> 'status',
    'completed', 'a job that was running ends'
);
select is(
    public.fail_video_job('fal', 'fal-2', 'out of memory') ->> 'credits_refunded', '4',
    'another fails and is refunded'
);
select results_eq(
    $$ select video_url::text, thumbnail_url::text from public.video_jobs
       where status = 'completed' $$,
    $$ values (null::text, null::text) $$, 'nobody keeps the video'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    0::bigint, 'or the credits'
);
select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'hold_older_than_sweep' $$,
    'the books agree, but for holds that nobody swept'
);

-- Nobody is there any more.
select throws_ok(
    format($$ select public.%s $$, call), 'PT404', 'user_not_found', call
)
from unnest(array[
    'get_user_credits(''aaaaaaaa-0000-4000-8000-000000000001'')',
    'add_credits(''aaaaaaaa-0000-4000-8000-000000000001'', 5, ''promo_grant'', gen_random_uuid())',
    'generate_video_atomic(''aaaaaaaa-0000-4000-8000-000000000001'',
        ''5f3b1e70-0000-4000-8000-000000000001'', ''A boat.'', null, gen_random_uuid())',
    'link_apple_account(''aaaaaaaa-0000-4000-8000-000000000001'', ''ada-sub'')',
    'device_check(''aaaaaaaa-0000-4000-8000-000000000001'', ''ada-phone'')'
]) as call;

-- She comes back on her phone, with her Apple id.
select is(
    public.device_check(null, 'ada-phone') - 'user_id',
    '{"is_new": true, "is_guest": true, "tier": "free", "credits_remaining": 0}',
    'her phone is a newcomer''s that has had its credits'
);
select is(
    public.link_apple_account((select user_id from public.account_identities
        where identifier = 'ada-phone'), 'ada-sub') - 'user_id',
    '{"merged_from": null, "credits_remaining": 0, "replayed": false}',
    'her Apple id makes a new account'
);
select isnt(
    (select user_id from public.account_identities where identifier = 'ada-sub'),
    'aaaaaaaa-0000-4000-8000-000000000001', 'not the old one'
);
select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'hold_older_than_sweep' $$,
    'the books still agree, but for holds that nobody swept'
);

select * from finish();
rollback;
