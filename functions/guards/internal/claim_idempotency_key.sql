-- The insert decides: a second caller with the same key waits there, on the unique index, until the
-- first one commits; then it looks again and replays. The look before it only spares a replay the
-- failed insert. Never `do update`: it would take a transaction id on every replay.
-- Each turn of the loop means that somebody else's row came or went in between.
create or replace function rendio.claim_idempotency_key(
    p_user_id uuid,
    p_key uuid,
    p_operation text,
    p_request_hash bytea,
    p_response jsonb,
    p_job_id uuid,
    p_at timestamptz
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_first public.idempotency_log;
begin
    loop
        select * into v_first
        from public.idempotency_log as l
        where l.user_id = p_user_id and l.idempotency_key = p_key;
        if found and v_first.expires_at > p_at then
            if v_first.request_hash <> p_request_hash then
                raise sqlstate 'PT422' using
                    message = 'idempotency_key_reused',
                    detail = jsonb_build_object(
                        'operation', v_first.operation_type, 'used_at', v_first.created_at
                    )::text,
                    hint = 'Use a new key for a new request, and the same arguments for a retry.';
            end if;
            return case
                when v_first.job_id is null then v_first.response_data
                else v_first.response_data || jsonb_build_object('job_id', v_first.job_id)
            end;
        end if;

        if found then
            delete from public.idempotency_log as l
            where l.user_id = p_user_id and l.idempotency_key = p_key and l.expires_at <= p_at;
        end if;
        insert into public.idempotency_log (
            user_id, idempotency_key, job_id, created_at, expires_at,
            operation_type, request_hash, response_data
        )
        values (
            p_user_id, p_key, p_job_id, p_at, p_at + interval '24 hours',
            p_operation, p_request_hash, p_response
        )
        on conflict do nothing;
        if found then
            return null;
        end if;
    end loop;
end;
$$;

comment on function rendio.claim_idempotency_key(
    uuid, uuid, text, bytea, jsonb, uuid, timestamptz
) is
$$Claim a client's key for 24 hours, storing the response that a repeated call will get.
p_response is stored without job_id, which has its own column and is put back in a replay.

Null when this call owns the key; otherwise the first call's response, and nothing is written.

@raises PT422 idempotency_key_reused$$;

revoke execute on function rendio.claim_idempotency_key(
    uuid, uuid, text, bytea, jsonb, uuid, timestamptz
) from public, anon, authenticated;
