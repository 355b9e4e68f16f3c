-- Somebody else's purchase, without saying whose.
begin;
select plan(2);

select throws_ok(
    $$ select rendio.raise_foreign_purchase('2000001') $$,
    'PT409', 'purchase_belongs_to_another_user', 'it raises'
);
do $$
declare
    v_detail text;
begin
    perform rendio.raise_foreign_purchase('2000001');
exception
    when sqlstate 'PT409' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb, '{"transaction_id": "2000001"}',
    'and names the transaction alone'
);

select * from finish();
rollback;
