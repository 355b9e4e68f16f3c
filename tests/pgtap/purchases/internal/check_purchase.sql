-- The form of a purchase.
begin;
select plan(13);

select lives_ok(
    format($$ select rendio.check_purchase('aaaaaaaa-0000-4000-8000-000000000001', %L, %L, 't', 'p',
        '2030-01-15', 1) $$, store, environment),
    format('%s in %s is a purchase', store, environment)
)
from unnest(array['app_store', 'google_play']) as store,
    unnest(array['Production', 'Sandbox']) as environment;
select throws_ok(
    format($$ select rendio.check_purchase(%L, %L, %L, %L, %L, %L, %L) $$, user_id, store,
        environment, transaction_id, product_id, purchased_at, quantity),
    code, slug, what
)
from (values
    ('no user', null, 'app_store', 'Sandbox', 't', 'p', '2030-01-15', 1, 'PT400', 'invalid_argument'),
    ('another store', 'aaaaaaaa-0000-4000-8000-000000000001', 'stripe', 'Sandbox', 't', 'p',
     '2030-01-15', 1, 'PT400', 'invalid_argument'),
    ('another environment', 'aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Xcode', 't', 'p',
     '2030-01-15', 1, 'PT400', 'invalid_argument'),
    ('a transaction that is too long', 'aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
     'Sandbox', repeat('t', 256), 'p', '2030-01-15', 1, 'PT413', 'payload_too_large'),
    ('an empty product', 'aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Sandbox', 't', '',
     '2030-01-15', 1, 'PT400', 'invalid_argument'),
    ('no finite time', 'aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Sandbox', 't', 'p',
     'infinity', 1, 'PT400', 'invalid_argument'),
    ('none of it', 'aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Sandbox', 't', 'p',
     '2030-01-15', 0, 'PT400', 'invalid_argument'),
    ('too many', 'aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Sandbox', 't', 'p',
     '2030-01-15', 101, 'PT400', 'invalid_argument'),
    ('no number', 'aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Sandbox', 't', 'p',
     '2030-01-15', null, 'PT400', 'invalid_argument')
) as t (what, user_id, store, environment, transaction_id, product_id, purchased_at, quantity, code,
    slug);

select * from finish();
rollback;
