-- Was the account deleted?
begin;
select plan(3);

insert into public.users (id, deleted_at) values
('aaaaaaaa-0000-4000-8000-000000000001', null), ('bbbbbbbb-0000-4000-8000-000000000001', now());

select is(rendio.is_deleted('aaaaaaaa-0000-4000-8000-000000000001'), false, 'Ada''s was not');
select is(rendio.is_deleted('bbbbbbbb-0000-4000-8000-000000000001'), true, 'Ben''s was');
select is(rendio.is_deleted('eeeeeeee-0000-4000-8000-000000000001'), false, 'nor was nobody''s');

select * from finish();
rollback;
