-- Whether a store may know what a buyer consumed.
begin;
select plan(8);

insert into public.users (id, merged_into) values
('aaaaaaaa-0000-4000-8000-000000000001', null),
('aaaaaaaa-0000-4000-8000-000000000002', 'aaaaaaaa-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001', null),
('cccccccc-0000-4000-8000-000000000001', null),
('cccccccc-0000-4000-8000-000000000002', 'cccccccc-0000-4000-8000-000000000001'),
('dddddddd-0000-4000-8000-000000000002', null);
insert into public.consumption_consents (user_id, consented_at) values
('aaaaaaaa-0000-4000-8000-000000000001', '2030-01-15'),
('cccccccc-0000-4000-8000-000000000002', '2030-01-15'),
('dddddddd-0000-4000-8000-000000000002', '2030-01-15');

select is(rendio.consents(id), consents, what)
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, true, 'Ada consents'),
    ('aaaaaaaa-0000-4000-8000-000000000002', true, 'also to what she bought as a guest'),
    ('bbbbbbbb-0000-4000-8000-000000000001', false, 'Ben was not asked'),
    ('cccccccc-0000-4000-8000-000000000001', false,
     'what a guest agreed to is not about Cyd''s account'),
    ('cccccccc-0000-4000-8000-000000000002', false,
     'nor about what the guest bought, now that the account is asked'),
    ('dddddddd-0000-4000-8000-000000000002', true, 'a guest of no account is asked itself'),
    ('99999999-0000-4000-8000-000000000001', false, 'nobody does not consent'),
    (null, false, 'nor who is not known yet')
) as t (id, consents, what);

select * from finish();
rollback;
