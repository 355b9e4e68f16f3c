-- `begin atomic` and no `set`, so that it inlines into the queries that ask it of every entry.
create or replace function rendio.is_refund(p_reason rendio.ledger_reason)
returns boolean
language sql
immutable
parallel safe
security invoker
begin atomic
    select p_reason in ('generation_failed_refund', 'partial_refund');
end;

comment on function rendio.is_refund(rendio.ledger_reason) is
$$Whether an entry of this reason gives back what a job took; any other credit opens a lot.$$;

revoke execute on function rendio.is_refund(rendio.ledger_reason) from public, anon, authenticated;
