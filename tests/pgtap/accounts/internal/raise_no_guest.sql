-- Why an Apple id is not linked: the guest has gone elsewhere, or never was one.
begin;
select plan(2);

-- The detail of what a call raised, with its code and slug.
create function pg_temp.raised_for(p_user public.users) returns text language plpgsql as $$
declare
    v_detail text;
begin
    perform rendio.raise_no_guest(p_user);
    return 'nothing';
exception
    when sqlstate 'PT409' then
        get stacked diagnostics v_detail = pg_exception_detail;
        return sqlerrm || ' ' || v_detail;
end $$;

insert into public.users (id, is_guest, merged_into) values
('aaaaaaaa-0000-4000-8000-000000000001', false, null),
('aaaaaaaa-0000-4000-8000-000000000002', true, 'aaaaaaaa-0000-4000-8000-000000000001');

select is(
    pg_temp.raised_for(u),
    'account_merged {"merged_into": "aaaaaaaa-0000-4000-8000-000000000001"}',
    'a merged guest is told whom to be from now on'
)
from public.users as u where u.id = 'aaaaaaaa-0000-4000-8000-000000000002';
select is(
    pg_temp.raised_for(u),
    'invalid_transition {"user_id": "aaaaaaaa-0000-4000-8000-000000000001"}',
    'an account is not merged'
)
from public.users as u where u.id = 'aaaaaaaa-0000-4000-8000-000000000001';

select * from finish();
rollback;
