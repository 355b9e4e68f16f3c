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
-- days, and a receipt can come back after years). Without foreign keys, like every claim. The store
-- may speak of a transaction before anybody reports the purchase: then it has no buyer yet, and its
-- row is what purchase and notification wait for each other on.
create table public.iap_transactions (
    store text not null,
    environment text not null,
    transaction_id text not null
        constraint iap_transactions_transaction_id_check
        check (length(transaction_id) between 1 and 255),
    user_id uuid,
    product_id text,
    quantity integer not null default 1
        constraint iap_transactions_quantity_check check (quantity between 1 and 100),
    credits_added integer not null default 0
        constraint iap_transactions_credits_added_check check (credits_added >= 0),
    ledger_seq bigint,
    purchased_at timestamptz,
    created_at timestamptz not null,
    primary key (store, environment, transaction_id),
    constraint iap_transactions_buyer_check check (
        num_nulls(user_id, product_id, purchased_at) in (0, 3)
        and (user_id is not null or credits_added = 0)
    )
);

create index iap_transactions_user_id_idx on public.iap_transactions (user_id);

alter table public.iap_transactions enable row level security;

comment on table public.iap_transactions is
$$Purchases. A transaction belongs to the user who brought it first; its state decides what a
repeated report does.$$;
comment on column public.iap_transactions.store is 'app_store or google_play.';
comment on column public.iap_transactions.environment is 'Production or Sandbox.';
comment on column public.iap_transactions.transaction_id is 'The store''s id of the purchase.';
comment on column public.iap_transactions.user_id is
    'Who bought; null while only a notification has named the transaction.';
comment on column public.iap_transactions.product_id is 'What was bought.';
comment on column public.iap_transactions.quantity is 'How many of it.';
comment on column public.iap_transactions.credits_added is
    'Credits granted for it; fewer than the product''s when a sandbox rule held them back.';
comment on column public.iap_transactions.ledger_seq is
    'The ledger entry and lot that it brought; null when it brought none.';
comment on column public.iap_transactions.purchased_at is 'When, by the store''s clock.';
comment on column public.iap_transactions.created_at is 'When it was first heard of here.';

-- A claim table: what the stores notified, each once and for ever. What a transaction's refunds
-- come to is read from here: the latest by the store's clock holds, in whatever order they came.
create table public.store_notifications (
    store text not null,
    environment text not null,
    notification_id text not null
        constraint store_notifications_notification_id_check
        check (length(notification_id) between 1 and 255),
    type text not null
        constraint store_notifications_type_check check (length(type) between 1 and 255),
    transaction_id text
        constraint store_notifications_transaction_id_check
        check (length(transaction_id) between 1 and 255),
    payload jsonb not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    revoked_share numeric
        constraint store_notifications_revoked_share_check
        check (revoked_share between 0 and 100000),
    action text not null
        constraint store_notifications_action_check check (
            action in (
                'credited', 'already_credited', 'revoked', 'reversed', 'outdated', 'waiting',
                'declined', 'consumption_requested', 'test', 'ignored'
            )
        ),
    credits_changed bigint not null default 0,
    due_at timestamptz,
    answered_at timestamptz,
    primary key (store, environment, notification_id)
);

create index store_notifications_revocations_idx on public.store_notifications (
    store, environment, transaction_id, occurred_at, notification_id
)
where revoked_share is not null;
create index store_notifications_due_at_idx on public.store_notifications (due_at)
where answered_at is null and due_at is not null;

alter table public.store_notifications enable row level security;

comment on table public.store_notifications is
$$What the stores told us about purchases, each notification once, with what was done about it.$$;
comment on column public.store_notifications.store is 'app_store or google_play.';
comment on column public.store_notifications.environment is 'Production or Sandbox.';
comment on column public.store_notifications.notification_id is
    'The store''s id of the notification.';
comment on column public.store_notifications.type is 'As the store spells it; REFUND, say.';
comment on column public.store_notifications.transaction_id is
    'The purchase it is about; null when about none.';
comment on column public.store_notifications.payload is
    'What it said, under the names of Apple''s JWSTransactionDecodedPayload.';
comment on column public.store_notifications.occurred_at is
    'When it was signed, by the store''s clock: what orders notifications.';
comment on column public.store_notifications.received_at is 'When it was first received here.';
comment on column public.store_notifications.revoked_share is
    'How much of the purchase is taken back from then on, in thousandths of a percent; null when the
notification does not say.';
comment on column public.store_notifications.action is 'What was done when it came.';
comment on column public.store_notifications.credits_changed is 'Credits given or taken then.';
comment on column public.store_notifications.due_at is
    'By when the store wants an answer; null when it wants none.';
comment on column public.store_notifications.answered_at is 'When it was answered.';

-- Not in iap_transactions: what is still to be taken is taken when credits come back, under the
-- lock of the user's row, and claims are never locked after that one.
create table public.purchase_revocations (
    user_id uuid not null references public.users (id) on delete restrict,
    origin uuid not null,
    revoked bigint not null
        constraint purchase_revocations_revoked_check check (revoked >= 0),
    recovered bigint not null default 0
        constraint purchase_revocations_recovered_check check (recovered >= 0),
    repaid bigint not null default 0
        constraint purchase_revocations_repaid_check check (repaid >= 0),
    waived bigint not null default 0
        constraint purchase_revocations_waived_check check (waived >= 0),
    policy text not null
        constraint purchase_revocations_policy_check
        check (policy in ('forgive', 'debt', 'block')),
    created_at timestamptz not null,
    primary key (user_id, origin),
    constraint purchase_revocations_taken_check check (recovered + repaid <= revoked),
    constraint purchase_revocations_waived_of_check check (waived <= revoked)
);

alter table public.purchase_revocations enable row level security;

comment on table public.purchase_revocations is
$$Purchases that a store took back, in whole or in part, and what of their credits is still owed.

What comes back to a revoked purchase's lots is taken until nothing is owed. By policy, that is all
(forgive), or paid credits that reach the account later pay the rest (debt), and nothing can be
spent until then (block).$$;
comment on column public.purchase_revocations.user_id is
    'Whose credits: the buyer, or the account that took the buyer over.';
comment on column public.purchase_revocations.origin is
    'The ledger entry (quota_log.id) of the purchase, which its lots bear.';
comment on column public.purchase_revocations.revoked is 'Credits that the store took back.';
comment on column public.purchase_revocations.recovered is
    'Credits of this purchase that were taken from the user; the rest had been spent.';
comment on column public.purchase_revocations.repaid is
    'Other credits of the user that were taken for it.';
comment on column public.purchase_revocations.waived is
    'Credits that the user need not repay, whatever the policy.';
comment on column public.purchase_revocations.policy is
    'forgive, debt or block: app_settings.refund_shortfall when it was revoked.';
comment on column public.purchase_revocations.created_at is 'When the store first took it back.';

create table public.consumption_consents (
    user_id uuid primary key references public.users (id) on delete restrict,
    consented_at timestamptz not null
);

alter table public.consumption_consents enable row level security;

comment on table public.consumption_consents is
$$Who allows that a store which considers a refund is told how much of the purchase was used.$$;
comment on column public.consumption_consents.user_id is 'Who consents.';
comment on column public.consumption_consents.consented_at is 'Since when.';
