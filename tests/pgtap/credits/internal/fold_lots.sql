-- The lots are brought up to the ledger; when that happens, and how often, changes nothing.
begin;
set local timezone = 'UTC';
select plan(10);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;

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

-- One life: 10 for ever, 5 until 1 February, 20 bought; jobs that end in every way, one of them
-- when a lot it drew from has ended, and an adjustment. It is folded after every step, or never.
create procedure pg_temp.step(p_user uuid, p_folds boolean, p_at timestamptz, p_call text)
language plpgsql as $$
begin
    perform set_config('story.now', p_at::text, true);
    execute p_call using p_user;
    if p_folds then
        perform rendio.fold_lots(p_user);
    end if;
end $$;
create function pg_temp.asks_for(p_prompt text) returns text language sql as $$
    select format('select public.generate_video_atomic($1, %L, %L, null, gen_random_uuid())',
        '5f3b1e70-0000-4000-8000-000000000001', p_prompt);
$$;
create function pg_temp.ends(p_prompt text, p_how text) returns text language sql as $$
    select format('select %s from public.video_jobs as j where j.user_id = $1 and j.prompt = %L',
        p_how, p_prompt);
$$;
create procedure pg_temp.live(p_user uuid, p_folds boolean) language plpgsql as $$
declare
    v_step text;
    v_started text := 'public.start_video_job(j.user_id, j.job_id, j.job_id::text)';
    v_cancelled text := 'public.cancel_video_job(j.user_id, j.job_id)';
    v_completed text := 'public.complete_video_job(''fal'', j.job_id::text, ''https://v.test/1''';
begin
    foreach v_step in array array[
        format('select public.device_check($1, %L)', p_user),
        $call$ select public.add_credits($1, 5, 'promo_grant', gen_random_uuid(), '2030-02-01') $call$,
        $call$ select public.record_iap_purchase($1, 'app_store', 'Production',
            left($1::text, 8), 'credits_20') $call$,
        pg_temp.asks_for('boat'), pg_temp.asks_for('train'), pg_temp.asks_for('plane'),
        pg_temp.ends('boat', v_started), pg_temp.ends('boat', v_completed || ')'),
        pg_temp.asks_for('fox'), pg_temp.ends('fox', v_cancelled), pg_temp.asks_for('dog'),
        pg_temp.ends('plane', v_started),
        pg_temp.ends('plane', v_completed || ', p_credits_charged => 1)'),
        $call$ select public.add_credits($1, -3, 'admin_adjustment', gen_random_uuid()) $call$
    ] loop
        call pg_temp.step(p_user, p_folds, '2030-01-15 08:00:00+00', v_step);
    end loop;
    foreach v_step in array array[
        pg_temp.ends('train', v_cancelled), pg_temp.asks_for('cat')
    ] loop
        call pg_temp.step(p_user, p_folds, '2030-02-01 00:00:00+00', v_step);
    end loop;
end $$;
create function pg_temp.lots_of(p_user uuid) returns setof text language sql as $$
    select concat_ws(' ', g.seq, g.n, g.kind, g.amount, g.remaining, g.expires_at)
    from public.credit_grants as g where g.user_id = p_user
    order by g.seq, g.n;
$$;
create function pg_temp.draws_of(p_user uuid) returns setof text language sql as $$
    select concat_ws(' ', j.prompt, d.n, d.lot_seq, d.lot_n, d.credits)
    from public.credit_draws as d join public.video_jobs as j using (user_id, job_id)
    where d.user_id = p_user
    order by j.prompt::text, d.n;
$$;

set local story.now = '2030-01-15 08:00:00+00';
do $$ begin perform rendio.ensure_partitions(); end $$;
call pg_temp.live('aaaaaaaa-0000-4000-8000-000000000001', true);
call pg_temp.live('bbbbbbbb-0000-4000-8000-000000000001', false);

select results_eq(
    $$ select * from pg_temp.lots_of('aaaaaaaa-0000-4000-8000-000000000001') $$,
    array[
        '1 1 promotional 10 0 infinity',
        '2 1 promotional 5 0 2030-02-01 00:00:00+00',
        '3 1 paid 20 19 infinity',
        '12 1 promotional 1 0 2030-02-08 00:00:00+00'
    ],
    'Ada''s lots, folded at every step'
);
select results_eq(
    $$ select * from pg_temp.draws_of('aaaaaaaa-0000-4000-8000-000000000001') $$,
    array['cat 1 12 1 1', 'cat 2 1 1 3', 'dog 1 1 1 3', 'dog 2 3 1 1'],
    'and what her open jobs hold of them'
);
select is(
    (select ledger_seq - lots_seq from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    0::bigint, 'every entry is accounted for'
);
select cmp_ok(
    (select ledger_seq - lots_seq from public.users
     where id = 'bbbbbbbb-0000-4000-8000-000000000001'),
    '<', 3::bigint, 'Ben''s were folded when something expired, not since'
);
do $$ begin
    perform rendio.fold_lots('bbbbbbbb-0000-4000-8000-000000000001');
end $$;
select results_eq(
    $$ select * from pg_temp.lots_of('bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ select * from pg_temp.lots_of('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'Ben''s life, folded late, left the same lots'
);
select results_eq(
    $$ select * from pg_temp.draws_of('bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ select * from pg_temp.draws_of('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'and the same draws'
);
select is(
    pg_temp.rows_written_by($$
        select rendio.fold_lots('bbbbbbbb-0000-4000-8000-000000000001') $$),
    0::bigint, 'folding once more writes nothing'
);

-- A job that has ended is not refunded any more.
call pg_temp.step('aaaaaaaa-0000-4000-8000-000000000001', true, '2030-02-02',
    pg_temp.ends('dog', 'public.start_video_job(j.user_id, j.job_id, j.job_id::text)'));
call pg_temp.step('aaaaaaaa-0000-4000-8000-000000000001', true, '2030-02-02',
    pg_temp.ends('dog', $$public.complete_video_job('fal', j.job_id::text, 'https://v.test/2')$$));
call pg_temp.step('aaaaaaaa-0000-4000-8000-000000000001', true, '2030-02-02',
    $$ select public.add_credits($1, 1, 'promo_grant', gen_random_uuid()) $$);
select results_eq(
    $$ select * from pg_temp.draws_of('aaaaaaaa-0000-4000-8000-000000000001') $$,
    array['cat 1 12 1 1', 'cat 2 1 1 3'],
    'so that its draws are forgotten with the next entry'
);
call pg_temp.step('aaaaaaaa-0000-4000-8000-000000000001', true, '2030-02-08',
    pg_temp.ends('cat', 'public.cancel_video_job(j.user_id, j.job_id)'));
select results_eq(
    $$ select * from pg_temp.lots_of('aaaaaaaa-0000-4000-8000-000000000001') $$,
    array[
        '1 1 promotional 10 3 infinity',
        '2 1 promotional 5 0 2030-02-01 00:00:00+00',
        '3 1 paid 20 19 infinity',
        '12 1 promotional 1 0 2030-02-08 00:00:00+00',
        '14 1 promotional 1 1 infinity',
        '15 1 promotional 1 1 2030-02-15 00:00:00+00'
    ],
    'credits refunded twice get a new week each time'
);
select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'hold_older_than_sweep' $$,
    'the books agree, but for holds that nobody swept'
);

select * from finish();
rollback;
