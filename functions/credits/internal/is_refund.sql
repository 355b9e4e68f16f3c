-- `begin atomic` and no `set`, so that it inlines into the queries that ask it of every entry.
create or replace function rendio.is_refund(p_reason text)
returns boolean
language sql
immutable
parallel safe
security invoker
begin atomic
    select p_reason in ('generation_failed_refund', 'partial_refund');
end;

comment on function rendio.is_refund(text) is
$$Whether an entry of this reason gives back what a job took; any other credit opens a lot.$$;

revoke execute on function rendio.is_refund(text) from public, anon, authenticated;
