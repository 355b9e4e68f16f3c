-- The registry of errors.
begin;
select plan(3);

select set_eq(
    $$ select sqlstate, slug from rendio.errors() $$,
    $$ values
       ('PT400', 'invalid_argument'), ('PT401', 'not_authenticated'),
       ('PT402', 'insufficient_credits'), ('PT403', 'not_your_account'),
       ('PT403', 'service_only'), ('PT403', 'account_blocked'),
       ('PT404', 'consumption_request_not_found'), ('PT404', 'user_not_found'), ('PT404', 'model_not_found'),
       ('PT404', 'job_not_found'), ('PT404', 'product_not_found'),
       ('PT409', 'invalid_transition'), ('PT409', 'job_not_refundable'),
       ('PT409', 'purchase_belongs_to_another_user'), ('PT409', 'account_merged'),
       ('PT413', 'payload_too_large'), ('PT422', 'idempotency_key_reused'),
       ('PT429', 'rate_limited') $$,
    'these errors and no others'
);
select is(
    (select count(distinct slug) from rendio.errors()), (select count(*) from rendio.errors()),
    'a slug names one error'
);
select is_empty(
    $$ select slug from rendio.errors() where coalesce(description, '') = '' $$,
    'each says what it means'
);

select * from finish();
rollback;
