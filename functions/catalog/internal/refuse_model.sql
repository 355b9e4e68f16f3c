create or replace function rendio.refuse_model(p_model_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from public.models as m where m.id = p_model_id and m.is_available) then
        perform rendio.raise_invalid(
            'p_settings', 'a duration and a resolution that the model offers'
        );
    end if;
    raise sqlstate 'PT404' using
        message = 'model_not_found',
        detail = jsonb_build_object('model_id', p_model_id)::text,
        hint = 'Choose a model from get_models.';
end;
$$;

comment on function rendio.refuse_model(uuid) is
$$Say why a model has no price: it is not on sale, or not with these settings.

@raises PT400 invalid_argument
@raises PT404 model_not_found$$;

revoke execute on function rendio.refuse_model(uuid) from public, anon, authenticated;
