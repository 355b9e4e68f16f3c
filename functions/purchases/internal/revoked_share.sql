-- Google says a part (refundType 2) without saying how much, unless the caller has asked for the
-- voided quantity: such a notification revokes nothing until it does.
create or replace function rendio.revoked_share(p_kind text, p_payload jsonb)
returns numeric
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_percentage bigint;
    v_quantity bigint;
    v_voided bigint;
begin
    if p_kind = 'reversal' then
        return 0;
    elsif p_kind is distinct from 'refund' then
        return null;
    end if;
    v_percentage := rendio.payload_number(p_payload, 'revocationPercentage', 100000);
    v_quantity := rendio.payload_number(p_payload, 'quantity', 100);
    v_voided := rendio.payload_number(p_payload, 'voidedQuantity', 100);
    return case
        when v_voided > 0 and v_quantity > 0
            then least(100000, v_voided * 100000.0 / v_quantity)
        when v_voided is not null or p_payload ->> 'refundType' = '2' then null
        else coalesce(v_percentage, 100000)
    end;
end;
$$;

comment on function rendio.revoked_share(text, jsonb) is
$$How much of its purchase a notification takes back, in thousandths of a percent: Apple's
revocationPercentage, all without one; null when the notification does not say.

@raises PT400 invalid_argument$$;

revoke execute on function rendio.revoked_share(text, jsonb) from public, anon, authenticated;
