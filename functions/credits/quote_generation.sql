create or replace function public.quote_generation(
    p_user_id uuid,
    p_model_id uuid,
    p_settings jsonb
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_settings jsonb := coalesce(p_settings, '{}');
    v_user public.users;
    v_cost integer;
    v_available bigint;
    v_state rendio.lot_state;
    v_entry public.quota_log;
begin
    perform rendio.require_user(p_user_id);
    if p_model_id is null then
        perform rendio.raise_invalid('p_model_id', 'required');
    end if;
    perform rendio.check_object(v_settings, 'p_settings');
    v_user := rendio.require_account(p_user_id);
    select rendio.price(m.cost_per_generation, m.price_rule, v_settings) into v_cost
    from public.models as m
    where m.id = p_model_id and m.is_available;
    if v_cost is null then
        perform rendio.refuse_model(p_model_id);
    end if;

    v_state.lots := array(select g from rendio.live_lots(v_user, rendio.clock()) as g);
    v_available := (select coalesce(sum(g.remaining), 0) from unnest(v_state.lots) as g);
    v_entry.user_id := p_user_id;
    v_entry.job_id := p_model_id;  -- any: draws are noted for a job
    v_entry.change := -v_cost;
    v_state := rendio.draw_lots(v_state, v_entry);
    return jsonb_build_object(
        'credits', v_cost,
        'credits_remaining', v_available,
        'refusal', case
            when v_user.merged_into is not null then 'account_merged'
            when v_available < v_cost then 'insufficient_credits'
            when v_user.is_blocked then 'account_blocked'
        end,
        'lots', (
            select coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'seq', d.lot_seq, 'n', d.lot_n, 'kind', g.kind, 'credits', d.credits,
                        'expires_at', nullif(g.expires_at, 'infinity')
                    )
                    order by d.n
                ),
                '[]'
            )
            from unnest(v_state.draws) as d
            join unnest(v_state.lots) as g on g.seq = d.lot_seq and g.n = d.lot_n
            where v_available >= v_cost
        )
    );
end;
$$;

comment on function public.quote_generation(uuid, uuid, jsonb) is
$$What a generation would cost now, from which lots it would be taken, and what would stop it.

Writes nothing and promises nothing: prices and balances may change until the call.
refusal is null, or the error that generate_video_atomic would raise: insufficient_credits,
account_blocked or account_merged. lots is empty when the credits do not suffice.

p_settings: as for generate_video_atomic; null is {}.

@nullable p_settings
@returns {credits: integer, credits_remaining: bigint, refusal: text?, lots: [quoted_lot]}
@shape quoted_lot {seq: bigint, n: integer, kind: text, credits: bigint, expires_at: timestamptz?}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 user_not_found
@raises PT404 model_not_found
@raises PT413 payload_too_large$$;

revoke execute on function public.quote_generation(uuid, uuid, jsonb)
from public, anon, authenticated;
grant execute on function public.quote_generation(uuid, uuid, jsonb)
to authenticated, service_role;
