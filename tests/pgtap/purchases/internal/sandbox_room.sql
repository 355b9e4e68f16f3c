-- What the sandbox may still give a person.
begin;
select plan(5);

do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_tablet uuid := 'aaaaaaaa-0000-4000-8000-000000000002';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check(v_tablet, 'ada-tablet');
    perform public.link_apple_account(v_ada, 'ada-apple', null);
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', '1', 'credits_50');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Sandbox', '1', 'credits_20');
    perform public.record_iap_purchase(v_tablet, 'app_store', 'Sandbox', '2', 'credits_50');
end $$;

select is(
    rendio.sandbox_room('aaaaaaaa-0000-4000-8000-000000000001'), 80, 'the cap less what was given'
);
select is(
    rendio.sandbox_room('99999999-0000-4000-8000-000000000001'), 100, 'all of it to who had none'
);
do $$ begin
    perform public.link_apple_account(
        'aaaaaaaa-0000-4000-8000-000000000002', 'ada-apple', null
    );
end $$;
select is(
    rendio.sandbox_room('aaaaaaaa-0000-4000-8000-000000000001'), 30, 'to whichever of the guests'
);
update public.app_settings set value = '60' where key = 'sandbox_credit_cap';
select is(
    rendio.sandbox_room('aaaaaaaa-0000-4000-8000-000000000001'), 0, 'never less than nothing'
);
delete from public.app_settings where key = 'sandbox_credit_cap';
select is(
    rendio.sandbox_room('99999999-0000-4000-8000-000000000001'), 0,
    'a cap that is missing is no open door'
);

select * from finish();
rollback;
