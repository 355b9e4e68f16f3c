-- An error cannot bring headers along in PostgREST but as PGRST, where message and detail are the
-- whole answer: to the client it is a PT429 like any other, with Retry-After.
-- Locks: the subject's row, until the request's transaction ends.
create or replace function public.check_request()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id uuid := rendio.caller_id();
    v_answer jsonb;
    v_headers jsonb;
begin
    if rendio.caller_is_service() or current_setting('transaction_read_only') = 'on' then
        return;
    end if;
    v_answer := rendio.rate_limit(
        coalesce('user:' || v_user_id, 'subject:' || left(rendio.client_address(), 255)),
        case
            -- The path is as it came, encoded; no client has a reason to encode any of it.
            when current_setting('request.path', true) ~ '/rpc/generate_video_atomic$|%'
                then 'generate'
            else 'general'
        end,
        1
    );
    v_headers := jsonb_strip_nulls(
        jsonb_build_object(
            'RateLimit-Limit', v_answer ->> 'limit',
            'RateLimit-Remaining', v_answer ->> 'remaining',
            'RateLimit-Reset',
            case when v_answer ->> 'limit' is not null then v_answer ->> 'reset_after' end
        )
    );
    if not (v_answer ->> 'allowed')::boolean then
        raise sqlstate 'PGRST' using
            message = jsonb_build_object(
                'code', 'PT429', 'message', 'rate_limited',
                'details', (v_answer - 'allowed')::text,
                'hint', 'Wait as many seconds as retry_after says.'
            )::text,
            detail = jsonb_build_object(
                'status', 429,
                'headers',
                v_headers || jsonb_build_object('Retry-After', v_answer ->> 'retry_after')
            )::text;
    end if;
    perform rendio.add_response_headers(v_headers);
end;
$$;

comment on function public.check_request() is
$$Count a request of a client before it is served: PostgREST's db-pre-request (12 or newer).

What is left is told in RateLimit-Limit, -Remaining and -Reset, and in Retry-After when it is
refused. Counts only where the transaction may write, in that transaction: a call that fails
afterwards is not counted, and reads, which PostgREST serves in read-only transactions, never are.
The service counts for itself, with check_rate_limit. By user, else by address (see
rendio.client_address).

@raises PT429 rate_limited$$;

revoke execute on function public.check_request() from public, anon, authenticated;
grant execute on function public.check_request() to anon, authenticated, service_role;
