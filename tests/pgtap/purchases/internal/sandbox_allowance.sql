-- How much of a purchase in a store's sandbox is given.
begin;
select plan(16);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
        'Sandbox', id, product)
    from (values ('1', 'credits_50'), ('2', 'credits_20')) as t (id, product);
end $$;
create function pg_temp.allowance(p_user_id uuid, p_credits integer) returns integer
language sql volatile as $$ select rendio.sandbox_allowance(p_user_id, p_credits) $$;

-- Capped: 100 a user, of which Ada has had 70. Her initial grant does not count.
select is(pg_temp.allowance('aaaaaaaa-0000-4000-8000-000000000001', 30), 30, 'up to the cap all');
select is(pg_temp.allowance('aaaaaaaa-0000-4000-8000-000000000001', 31), 30, 'then the rest');
select is(pg_temp.allowance('bbbbbbbb-0000-4000-8000-000000000001', 31), 31, 'each user has a cap');
update public.app_settings set value = '50' where key = 'sandbox_credit_cap';
select is(
    pg_temp.allowance('aaaaaaaa-0000-4000-8000-000000000001', 30), 0,
    'a cap that was lowered takes nothing back and gives nothing'
);
delete from public.app_settings where key = 'sandbox_credit_cap';
select is(
    pg_temp.allowance('bbbbbbbb-0000-4000-8000-000000000001', 30), 0,
    'a cap that is missing is no open door'
);

-- Nobody has no allowance, whatever the rule.
create function pg_temp.refuses_strangers(p_rule text) returns setof text language plpgsql as $$
begin
    update public.app_settings set value = to_jsonb(p_rule) where key = 'sandbox_purchases';
    return query select throws_ok(
        format('select rendio.sandbox_allowance(%L, 10)', id), 'PT404', 'user_not_found',
        p_rule || ': ' || what
    )
    from (values
        ('99999999-0000-4000-8000-000000000001'::uuid, 'a stranger'), (null, 'nobody')
    ) as t (id, what);
end $$;
select pg_temp.refuses_strangers(rule) from unnest(array['capped', 'listed', 'off']) as rule;

-- Listed: testers all, others nothing.
update public.app_settings set value = '"listed"' where key = 'sandbox_purchases';
update public.app_settings set value = '["aaaaaaaa-0000-4000-8000-000000000001"]'
where key = 'sandbox_testers';
select is(
    pg_temp.allowance('aaaaaaaa-0000-4000-8000-000000000001', 1000), 1000, 'a tester gets all'
);
select is(
    pg_temp.allowance('bbbbbbbb-0000-4000-8000-000000000001', 1000), 0, 'anybody else nothing'
);
delete from public.app_settings where key = 'sandbox_testers';
select is(
    pg_temp.allowance('aaaaaaaa-0000-4000-8000-000000000001', 1000), 0, 'without a list nobody'
);

-- Off or missing: nothing.
update public.app_settings set value = '"off"' where key = 'sandbox_purchases';
select is(pg_temp.allowance('aaaaaaaa-0000-4000-8000-000000000001', 10), 0, 'off is off');
delete from public.app_settings where key = 'sandbox_purchases';
select is(pg_temp.allowance('aaaaaaaa-0000-4000-8000-000000000001', 10), 0, 'and no word at all');

select * from finish();
rollback;
