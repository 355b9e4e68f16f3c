-- Decided by the model and the settings of this call alone; the job keeps what it was charged.
create or replace function rendio.price(p_minimum integer, p_rule jsonb, p_settings jsonb)
returns integer
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_seconds text := coalesce(p_settings ->> 'duration', p_rule ->> 'default_seconds');
    v_resolution text := coalesce(p_settings ->> 'resolution', p_rule ->> 'default_resolution');
    v_credits numeric := (p_rule #>> array['resolutions', v_resolution])::numeric;
begin
    if p_rule is null then
        return p_minimum;
    elsif v_seconds !~ '^[0-9]{1,4}(\.[0-9]{1,3})?s?$' then
        return null;
    end if;
    v_seconds := rtrim(v_seconds, 's');
    if v_credits is not null
        and v_seconds::numeric > 0
        and v_seconds::numeric <= (p_rule ->> 'max_seconds')::numeric then
        return greatest(p_minimum, ceil(v_credits * v_seconds::numeric)::integer);
    end if;
    return null;
end;
$$;

comment on function rendio.price(integer, jsonb, jsonb) is
$$Credits for a video with these settings; null when the model does not offer them.

p_minimum, p_rule: cost_per_generation and price_rule of the model.
p_settings: duration in seconds, as a number or like "8s", and resolution, one of the rule's.$$;

revoke execute on function rendio.price(integer, jsonb, jsonb) from public, anon, authenticated;
