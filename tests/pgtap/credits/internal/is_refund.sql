-- What gives back what a job took; every other credit opens a lot.
begin;
select plan(1);

select results_eq(
    $$ select reason, rendio.is_refund(reason::rendio.ledger_reason) from (values
       ('generation_failed_refund'), ('partial_refund'), ('iap_purchase'), ('promo_grant'),
       ('iap_refund'), ('iap_refund_reversed'), ('video_generation')) as r (reason) $$,
    $$ values ('generation_failed_refund', true), ('partial_refund', true),
       ('iap_purchase', false), ('promo_grant', false), ('iap_refund', false),
       ('iap_refund_reversed', false), ('video_generation', false) $$,
    'two reasons refund a job; what a store takes back or gives again is none'
);

select * from finish();
rollback;
