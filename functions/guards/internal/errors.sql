-- The registry of every error that an RPC raises. The Python exceptions, the TypeScript union and
-- the API reference are made from it; a test raises each one.
create or replace function rendio.errors()
returns table (sqlstate text, slug text, description text)
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    values
    ('PT400', 'invalid_argument',
        'An argument is missing or outside its limits; '
        'detail names the argument and the rule.'),
    ('PT401', 'not_authenticated', 'The request carries no usable identity.'),
    ('PT402', 'insufficient_credits',
        'The balance is too small; detail has required and available.'),
    ('PT403', 'not_your_account', 'The caller is another user than the one named.'),
    ('PT403', 'service_only', 'Only the service role may call this.'),
    ('PT403', 'account_blocked',
        'The user owes credits of a refunded purchase '
        'and may spend none until they are paid.'),
    ('PT404', 'user_not_found', 'There is no such user.'),
    ('PT404', 'model_not_found', 'There is no such model on sale.'),
    ('PT404', 'job_not_found',
        'There is no such job of this user, or no job with this provider id.'),
    ('PT404', 'product_not_found',
        'There is no such product on sale in this store and environment.'),
    ('PT404', 'consumption_request_not_found', 'There is no such question of a store.'),
    ('PT409', 'invalid_transition', 'The job is in a state that does not allow this.'),
    ('PT409', 'job_not_refundable', 'The job was completed and keeps its credits.'),
    ('PT409', 'purchase_belongs_to_another_user', 'This transaction was bought by another user.'),
    ('PT409', 'account_merged', 'The guest was merged into an account; use that one.'),
    ('PT413', 'payload_too_large',
        'An argument is larger than allowed; detail names it and the limit.'),
    ('PT422', 'idempotency_key_reused', 'The key was used for another request; use a new one.'),
    ('PT429', 'rate_limited', 'Too many requests; detail says when to try again.');
$$;

comment on function rendio.errors() is
$$Every error an RPC raises: SQLSTATE (PT and the HTTP status), stable slug, what it means.$$;

revoke execute on function rendio.errors() from public, anon, authenticated;
