-- A constant, not a setting: lots can be folded anew from the first entry and come out the same.
create or replace function rendio.refund_grace()
returns interval
language sql
immutable
parallel safe
security invoker
begin atomic
    select interval '7 days';
end;

comment on function rendio.refund_grace() is
$$How long refunded credits live whose lot has expired meanwhile.$$;

revoke execute on function rendio.refund_grace() from public, anon, authenticated;
