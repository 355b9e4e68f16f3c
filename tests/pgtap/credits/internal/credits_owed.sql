-- What the next purchase will pay: the credits of refunded purchases that had been spent.
begin;
select plan(6);

insert into public.users (id) values
('aaaaaaaa-0000-4000-8000-000000000001'), ('bbbbbbbb-0000-4000-8000-000000000001'),
('cccccccc-0000-4000-8000-000000000001'), ('dddddddd-0000-4000-8000-000000000001');
insert into public.purchase_revocations (
    user_id, origin, revoked, recovered, repaid, waived, policy, created_at
)
select user_id::uuid, gen_random_uuid(), revoked, recovered, repaid, waived, policy, '2030-01-15'
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 20, 5, 0, 0, 'debt'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 7, 0, 0, 0, 'block'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 50, 50, 0, 0, 'debt'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 100, 1, 0, 0, 'forgive'),
    ('bbbbbbbb-0000-4000-8000-000000000001', 30, 0, 0, 0, 'forgive'),
    -- Dan: a part of each; others paid; forgiven; forgiven, and then found after all.
    ('dddddddd-0000-4000-8000-000000000001', 100, 40, 30, 20, 'debt'),
    ('dddddddd-0000-4000-8000-000000000001', 20, 5, 15, 0, 'block'),
    ('dddddddd-0000-4000-8000-000000000001', 20, 5, 0, 15, 'block'),
    ('dddddddd-0000-4000-8000-000000000001', 20, 4, 0, 20, 'debt')
) as r (user_id, revoked, recovered, repaid, waived, policy);

select is(
    rendio.credits_owed('aaaaaaaa-0000-4000-8000-000000000001'), 22::bigint,
    'Ada owes what was not taken yet, 15 and 7'
);
select is(
    rendio.credits_owed('bbbbbbbb-0000-4000-8000-000000000001'), 0::bigint,
    'Ben''s refund was forgiven'
);
select is(
    rendio.credits_owed('cccccccc-0000-4000-8000-000000000001'), 0::bigint, 'Cyd had none'
);
select is(
    rendio.credits_owed('99999999-0000-4000-8000-000000000001'), 0::bigint, 'nobody owes nothing'
);
select is(
    rendio.credits_owed('dddddddd-0000-4000-8000-000000000001'), 10::bigint,
    'Dan owes what neither he nor others paid and nobody forgave; too much forgiven pays no other'
);
update public.purchase_revocations set recovered = revoked
where user_id = 'aaaaaaaa-0000-4000-8000-000000000001';
select is(
    rendio.credits_owed('aaaaaaaa-0000-4000-8000-000000000001'), 0::bigint,
    'what was taken is owed no more'
);

select * from finish();
rollback;
