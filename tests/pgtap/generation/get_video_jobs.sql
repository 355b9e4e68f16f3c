-- A user's jobs, a page at a time, newest first.
begin;
select plan(24);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 500, 'promo_grant',
        gen_random_uuid());
    -- 103 jobs of Ada's, a millisecond apart, and one of Ben's.
    for n in 1..103 loop
        perform set_config('story.now',
            (timestamptz '2030-01-15 08:00:00+00' + n * interval '1 millisecond')::text, true);
        perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
            '5f3b1e70-0000-4000-8000-000000000001', n::text, null, gen_random_uuid());
    end loop;
    perform public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'Ben''s', null, gen_random_uuid());
    -- The two newest are off her list.
    perform public.delete_video_job(user_id, job_id)
    from public.video_jobs where prompt in ('102', '103');
end $$;
create function pg_temp.whole_list(p_limit integer) returns text[] language plpgsql as $$
declare
    v_page jsonb;
    v_prompts text[] := '{}';
begin
    loop
        v_page := public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001',
            (v_page ->> 'next_before')::uuid, p_limit);
        v_prompts := v_prompts || array(
            select j ->> 'prompt'
            from jsonb_array_elements(v_page -> 'jobs') with ordinality as t (j, n) order by n
        );
        exit when v_page ->> 'next_before' is null;
    end loop;
    return v_prompts;
end $$;
select is(
    pg_temp.whole_list(p_limit), array(select n::text from generate_series(101, 1, -1) as n),
    format('pages of %s give every job once, newest first, without deleted ones', p_limit)
)
from unnest(array[1, 7, 100]) as p_limit;
-- The same when every third is in the archive and every fifth is a guest's.
do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000002', 'ada-tablet');
    update public.users set merged_into = 'aaaaaaaa-0000-4000-8000-000000000001'
    where id = 'aaaaaaaa-0000-4000-8000-000000000002';
    update public.video_jobs set user_id = 'aaaaaaaa-0000-4000-8000-000000000002'
    where prompt ~ '^[0-9]+$' and prompt::integer % 5 = 0;
    with old as (
        delete from public.video_jobs
        where prompt ~ '^[0-9]+$' and prompt::integer % 3 = 1 returning *
    )
    insert into public.video_jobs_archive select * from old;
end $$;
select is(
    pg_temp.whole_list(p_limit), array(select n::text from generate_series(101, 1, -1) as n),
    format('pages of %s are the same from archive and guests', p_limit)
)
from unnest(array[1, 7, 100]) as p_limit;
select is(
    public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000002', p_limit => 1)
    #>> '{jobs,0,prompt}',
    '100', 'a guest''s own list has its own jobs'
);

-- One page.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    jsonb_array_length(
        public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001') -> 'jobs'
    ),
    20, 'a page has 20 jobs when nothing is said'
);
select is(
    public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001', p_limit => 1)
    -> 'jobs' -> 0,
    (select public.get_video_status(user_id, job_id) from public.video_jobs where prompt = '101'),
    'each job as its status tells it'
);
select is(
    public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001', p_limit => 1)
    ->> 'next_before',
    (select job_id::text from public.video_jobs where prompt = '101'),
    'the next page begins before the last job of this one'
);
select is(
    public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001',
        '00000000-0000-0000-0000-000000000000'),
    '{"jobs": [], "next_before": null}', 'before all time there is nothing'
);
select is(
    public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001',
        'ffffffff-ffff-ffff-ffff-ffffffffffff', 1) #>> '{jobs,0,prompt}',
    '101', 'before the end of time is the newest'
);
-- The last page, exactly full.
select is(
    public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001',
        (select job_id from public.video_jobs where prompt = '3'), 2) -> 'next_before',
    'null', 'a full last page is known to be the last'
);

-- Limits and access.
select throws_ok(
    format($$ select public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001', null, %L) $$,
        p_limit),
    'PT400', 'invalid_argument', format('a page of %s is refused', coalesce(p_limit::text, 'null'))
)
from unnest(array[0, -1, 101, null, 2147483647]) as p_limit;
select throws_ok(
    $$ select public.get_video_jobs('bbbbbbbb-0000-4000-8000-000000000001') $$,
    'PT403', 'not_your_account', 'Ben''s jobs are his'
);
set local request.jwt.claims = '';
select throws_ok(
    $$ select public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT401', 'not_authenticated', 'nobody has none'
);
set local request.jwt.claims = '{"sub": "99999999-0000-4000-8000-000000000001"}';
select is(
    public.get_video_jobs('99999999-0000-4000-8000-000000000001'),
    '{"jobs": [], "next_before": null}', 'a login without an account has an empty list'
);
set local role anon;
select throws_ok(
    $$ select public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001') $$,
    '42501', null, 'anon may not ask'
);
set local role service_role;
select is(
    public.get_video_jobs('bbbbbbbb-0000-4000-8000-000000000001') #>> '{jobs,0,prompt}',
    'Ben''s', 'the service sees anyone''s'
);
select throws_ok(
    $$ select public.get_video_jobs(null) $$, 'PT400', 'invalid_argument', 'but must say whose'
);
reset role;

select * from finish();
rollback;
