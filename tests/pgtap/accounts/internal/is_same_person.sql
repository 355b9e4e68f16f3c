-- Whose is it? A guest's things are those of the account that took the guest over, and not the
-- other way round.
begin;
select plan(1);

insert into public.users (id, is_guest, merged_into) values
('aaaaaaaa-0000-4000-8000-000000000001', false, null),
('aaaaaaaa-0000-4000-8000-000000000002', true, 'aaaaaaaa-0000-4000-8000-000000000001'),
('aaaaaaaa-0000-4000-8000-000000000003', true, 'aaaaaaaa-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001', true, null);

create function pg_temp.person(p_name text) returns uuid language sql as $$
    select (case left(p_name, 1) when 'a' then 'aaaaaaaa' when 'b' then 'bbbbbbbb' else 'eeeeeeee' end
        || '-0000-4000-8000-00000000000' || right(p_name, 1))::uuid;
$$;
select results_eq(
    $$ select owner || ' of ' || who
       from unnest('{a1,a2,a3,b1,e1}'::text[]) as owner, unnest('{a1,a2,a3,b1,e1}'::text[]) as who
       where rendio.is_same_person(pg_temp.person(owner), pg_temp.person(who))
       order by 1 $$,
    $$ values ('a1 of a1'), ('a2 of a1'), ('a2 of a2'), ('a3 of a1'), ('a3 of a3'), ('b1 of b1'),
       ('e1 of e1') $$,
    'everybody''s own, and an account''s what its guests have; two guests are not each other'
);

select * from finish();
rollback;
