-- Refunded credits whose lot has expired live a week.
begin;
select plan(1);

select is(rendio.refund_grace(), interval '7 days', 'seven days');

select * from finish();
rollback;
