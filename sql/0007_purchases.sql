-- What the stores sell, and what was bought there.
--
-- Locks: none on existing tables. Duration: milliseconds.

create table public.iap_products (
    store text not null
        constraint iap_products_store_check check (store in ('app_store', 'google_play')),
    environment text not null
        constraint iap_products_environment_check check (environment in ('Production', 'Sandbox')),
    product_id text not null
        constraint iap_products_product_id_check check (length(product_id) between 1 and 255),
    credits integer not null
        constraint iap_products_credits_check check (credits between 1 and 1000000),
    is_available boolean not null default true,
    primary key (store, environment, product_id)
);

alter table public.iap_products enable row level security;

comment on table public.iap_products is
$$Products for credits. The amount of a purchase comes from here, never from a caller.$$;
comment on column public.iap_products.store is 'app_store or google_play.';
comment on column public.iap_products.environment is 'Production or Sandbox.';
comment on column public.iap_products.product_id is 'The store''s id of the product.';
comment on column public.iap_products.credits is 'Credits that one purchase brings.';
comment on column public.iap_products.is_available is
    'On sale. False: a new purchase answers PT404; a repeated report of an old one does not.';

insert into public.iap_products (store, environment, product_id, credits)
select
    s.store,
    e.environment,
    p.product_id,
    p.credits
from (values ('app_store'), ('google_play')) as s (store)
cross join (values ('Production'), ('Sandbox')) as e (environment)
cross join (
    values ('credits_20', 20), ('credits_50', 50), ('credits_120', 120)
) as p (product_id, credits);

-- A claim table: one row per transaction of a store, for ever (Apple repeats a notification for
-- days, and a receipt can come back after years). Without foreign keys, like every claim.
create table public.iap_transactions (
    store text not null,
    environment text not null,
    transaction_id text not null
        constraint iap_transactions_transaction_id_check
        check (length(transaction_id) between 1 and 255),
    user_id uuid not null,
    product_id text not null,
    credits_added integer not null
        constraint iap_transactions_credits_added_check check (credits_added >= 0),
    ledger_seq bigint,
    purchased_at timestamptz not null,
    created_at timestamptz not null,
    primary key (store, environment, transaction_id)
);

create index iap_transactions_user_id_idx on public.iap_transactions (user_id);

alter table public.iap_transactions enable row level security;

comment on table public.iap_transactions is
$$Purchases. A transaction belongs to the user who brought it first; its state decides what a
repeated report does.$$;
comment on column public.iap_transactions.store is 'app_store or google_play.';
comment on column public.iap_transactions.environment is 'Production or Sandbox.';
comment on column public.iap_transactions.transaction_id is 'The store''s id of the purchase.';
comment on column public.iap_transactions.user_id is 'Who bought.';
comment on column public.iap_transactions.product_id is 'What was bought.';
comment on column public.iap_transactions.credits_added is
    'Credits granted for it; fewer than the product''s when a sandbox rule held them back.';
comment on column public.iap_transactions.ledger_seq is
    'The ledger entry and lot that it brought; null when it brought none.';
comment on column public.iap_transactions.purchased_at is 'When, by the store''s clock.';
comment on column public.iap_transactions.created_at is 'When it was recorded here.';
