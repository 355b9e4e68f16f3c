create or replace function rendio.check_generation(
    p_model_id uuid,
    p_prompt text,
    p_settings jsonb,
    p_idempotency_key uuid
)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_model_id is null then
        perform rendio.raise_invalid('p_model_id', 'required');
    elsif p_idempotency_key is null then
        perform rendio.raise_invalid('p_idempotency_key', 'required');
    elsif length(p_prompt) > 4000 then
        perform rendio.raise_too_large('p_prompt', '4000 characters');
    elsif p_prompt is null or p_prompt !~ '\S' collate "C" then
        perform rendio.raise_invalid('p_prompt', 'required, not blank');
    elsif p_settings is not null then
        perform rendio.check_object(p_settings, 'p_settings');
    end if;
end;
$$;

comment on function rendio.check_generation(uuid, text, jsonb, uuid) is
$$Refuse the arguments of a generation that break a rule: say which and how.

@raises PT400 invalid_argument
@raises PT413 payload_too_large$$;

revoke execute on function rendio.check_generation(uuid, text, jsonb, uuid)
from public, anon, authenticated;
