-- The same settings that auth.uid() reads, in the same order. Not auth.uid() itself: the owner of
-- these functions may hold no right on Supabase's schema auth, and a malformed claim must end as
-- "no identity", not as a cast error. The handler's subtransaction writes nothing and takes no
-- transaction id.
create or replace function rendio.caller_id()
returns uuid
language plpgsql
stable
parallel unsafe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    )::uuid;
exception
    when invalid_text_representation or untranslatable_character or numeric_value_out_of_range
        or program_limit_exceeded or statement_too_complex then
        return null;
end;
$$;

comment on function rendio.caller_id() is
$$The user id in the caller's verified token; null when there is none or it is malformed.$$;

revoke execute on function rendio.caller_id() from public, anon, authenticated;
