-- Why there is no price: a model that is not on sale, or settings that it does not offer.
begin;
select plan(5);

create function pg_temp.detail_of(p_call text) returns jsonb language plpgsql as $$
declare
    v_detail text;
begin
    execute p_call;
    return null;
exception
    when others then
        get stacked diagnostics v_detail = pg_exception_detail;
        return v_detail;
end $$;

select throws_ok(
    $$ select rendio.refuse_model('5f3b1e70-0000-4000-8000-000000000001') $$,
    'PT400', 'invalid_argument', 'on sale: then it is the settings'
);
select is(
    pg_temp.detail_of($$ select rendio.refuse_model('5f3b1e70-0000-4000-8000-000000000001') $$)
        ->> 'argument',
    'p_settings', 'which are named'
);
update public.models set is_available = false where id = '5f3b1e70-0000-4000-8000-000000000001';
select throws_ok(
    $$ select rendio.refuse_model('5f3b1e70-0000-4000-8000-000000000001') $$,
    'PT404', 'model_not_found', 'a retired one is not sold'
);
select throws_ok(
    $$ select rendio.refuse_model('eeeeeeee-0000-4000-8000-000000000001') $$,
    'PT404', 'model_not_found', 'nor one that never was'
);
select is(
    pg_temp.detail_of($$ select rendio.refuse_model('eeeeeeee-0000-4000-8000-000000000001') $$),
    '{"model_id": "eeeeeeee-0000-4000-8000-000000000001"}', 'which is named'
);

select * from finish();
rollback;
