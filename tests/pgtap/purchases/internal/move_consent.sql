-- What a guest agreed to becomes its account's.
begin;
set local timezone = 'UTC';
select plan(6);

create temp view consents as
select left(user_id::text, 1) || right(user_id::text, 1) as who, consented_at
from public.consumption_consents order by 1;

-- Ada's guest agreed, Ben's did not; Cyd and her guest both did; Dan's guest is no one's.
insert into public.users (id)
select (who || '-0000-4000-8000-00000000000' || n)::uuid
from unnest(array['aaaaaaaa', 'bbbbbbbb', 'cccccccc', 'dddddddd']) as who,
    generate_series(1, 2) as n;
insert into public.consumption_consents (user_id, consented_at) values
('aaaaaaaa-0000-4000-8000-000000000002', '2030-01-12'),
('bbbbbbbb-0000-4000-8000-000000000001', '2030-01-11'),
('cccccccc-0000-4000-8000-000000000001', '2030-01-13'),
('cccccccc-0000-4000-8000-000000000002', '2030-01-14'),
('dddddddd-0000-4000-8000-000000000002', '2030-01-15');

do $$ begin
    perform rendio.move_consent('aaaaaaaa-0000-4000-8000-000000000002',
        'aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select results_eq(
    $$ select * from consents where who like 'a%' $$,
    $$ values ('a1', timestamptz '2030-01-12') $$, 'Ada''s account agrees since her guest did'
);
do $$ begin
    perform rendio.move_consent('aaaaaaaa-0000-4000-8000-000000000002',
        'aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select results_eq(
    $$ select * from consents where who like 'a%' $$,
    $$ values ('a1', timestamptz '2030-01-12') $$, 'a second time there is nothing left to move'
);
do $$ begin
    perform rendio.move_consent('bbbbbbbb-0000-4000-8000-000000000002',
        'bbbbbbbb-0000-4000-8000-000000000001');
end $$;
select results_eq(
    $$ select * from consents where who like 'b%' $$,
    $$ values ('b1', timestamptz '2030-01-11') $$, 'a guest that was not asked withdraws nothing'
);
do $$ begin
    perform rendio.move_consent('cccccccc-0000-4000-8000-000000000002',
        'cccccccc-0000-4000-8000-000000000001');
end $$;
select results_eq(
    $$ select * from consents where who like 'c%' $$,
    $$ values ('c1', timestamptz '2030-01-13') $$, 'Cyd''s account agreed itself, and since then'
);
select results_eq(
    $$ select * from consents where who like 'd%' $$,
    $$ values ('d2', timestamptz '2030-01-15') $$, 'nothing of it was about Dan''s guest'
);
delete from public.consumption_consents where user_id = 'aaaaaaaa-0000-4000-8000-000000000001';
select is_empty(
    $$ select * from consents where who like 'a%' $$,
    'what the account withdraws the guest does not uphold'
);

select * from finish();
rollback;
