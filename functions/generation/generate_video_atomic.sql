-- Locks: the key's claim, then the user's row. One read and four writes: model, claim with the
-- response already in it (so the job's id is made first), then balance, ledger and job in one
-- statement, where the ledger's and the job's rows are made of the balance that was taken.
-- Only identity and the form of the arguments come before the claim: a retry of a paid call is
-- answered even when the model has been retired since.
-- The one call that every second counts, so what rendio.claim_idempotency_key and
-- rendio.post_entry do for all others stands here in place, in the same form; those helpers take
-- over when a write finds the key taken or the balance short. The service, which passes
-- rendio.require_user with any id, is not sent through it.
create or replace function public.generate_video_atomic(
    p_user_id uuid,
    p_model_id uuid,
    p_prompt text,
    p_settings jsonb,
    p_idempotency_key uuid
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_job_id uuid := rendio.uuid_v7(v_now);
    v_request text := concat(
        'generate_video_atomic', p_model_id, coalesce(p_settings, '{}'), p_prompt
    );
    v_cost integer;
    v_rule jsonb;
    v_provider text;
    v_response jsonb;
    v_first jsonb;
begin
    if p_user_id is null or not rendio.caller_is_service() then
        perform rendio.require_user(p_user_id);
    end if;
    -- One look at all of them: none is too long while the whole has no more bytes than a prompt may
    -- have characters, no prompt is blank that starts with something visible, and of all JSON an
    -- object alone contains the empty one.
    if p_idempotency_key is null
        or p_model_id is null
        or p_prompt is null
        or octet_length(v_request) > 4000
        or p_prompt < '!' collate "C"
        or not p_settings @> '{}' then
        perform rendio.check_generation(p_model_id, p_prompt, p_settings, p_idempotency_key);
    end if;

    select m.cost_per_generation, m.price_rule, m.provider into v_cost, v_rule, v_provider
    from public.models as m
    where m.id = p_model_id and m.is_available;
    if v_rule is not null then
        v_cost := rendio.price(v_cost, v_rule, p_settings);
    end if;

    v_response := jsonb_build_object(
        'job_id', v_job_id, 'status', 'pending', 'credits_used', v_cost, 'replayed', false
    );
    insert into public.idempotency_log (
        user_id, idempotency_key, job_id, created_at, expires_at, operation_type, request_hash,
        response_data
    )
    values (
        p_user_id, p_idempotency_key, v_job_id, v_now, v_now + interval '24 hours',
        'generate_video_atomic', rendio.request_hash(v_request),
        v_response - '{job_id, replayed}'::text[]
    )
    on conflict do nothing;
    if not found then
        v_first := rendio.claim_idempotency_key(
            p_user_id, p_idempotency_key, 'generate_video_atomic', rendio.request_hash(v_request),
            v_response - '{job_id, replayed}'::text[], v_job_id, v_now
        );
        if v_first is not null then
            return v_first || '{"replayed": true}';
        end if;
    end if;

    loop
        with balance as (
            update public.users as u
            set credits_remaining = u.credits_remaining - v_cost,
                ledger_seq = u.ledger_seq + 1,
                ledger_at = greatest(u.ledger_at, v_now),
                updated_at = v_now
            where u.id = p_user_id
                and u.credits_remaining >= v_cost
                and u.merged_into is null
                and not u.is_blocked
                and u.next_expiry_at > greatest(u.ledger_at, v_now)
            returning u.ledger_seq, u.ledger_at, u.credits_remaining
        ),

        entry as (
            insert into public.quota_log (
                user_id, seq, created_at, balance_after, change, id, job_id, reason
            )
            select
                p_user_id, b.ledger_seq, b.ledger_at, b.credits_remaining, -v_cost, v_job_id,
                v_job_id, 'video_generation'
            from balance as b
        )

        insert into public.video_jobs (
            user_id, job_id, model_id, provider, prompt, settings, credits_used, created_at,
            times_out_at
        )
        select
            p_user_id, v_job_id, p_model_id, v_provider, p_prompt, coalesce(p_settings, '{}'),
            v_cost, v_now, v_now + interval '15 minutes'
        from balance as b;
        exit when found;
        if v_cost is null then
            perform rendio.refuse_model(p_model_id);
        end if;
        perform rendio.refuse_entry(p_user_id, -v_cost, v_now, p_is_spent => true);
    end loop;
    return v_response;
end;
$$;

comment on function public.generate_video_atomic(uuid, uuid, text, jsonb, uuid) is
$$Take the credits for a video and create its job, in one transaction.

The credits are held: a job that fails, times out or is cancelled gives them back.
For 24 hours a call with the same key and the same arguments returns the first result with
replayed true and takes nothing. The status is pending, also in a replay.

p_prompt: 1 to 4,000 characters, not blank.
p_settings: a JSON object of at most 16 KB; null is {}.
p_idempotency_key: a random uuid, made once for the request and sent again with each retry.

@nullable p_settings
@returns {job_id: uuid, status: text, credits_used: integer, replayed: boolean}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT402 insufficient_credits
@raises PT403 not_your_account
@raises PT403 account_blocked
@raises PT404 user_not_found
@raises PT404 model_not_found
@raises PT409 account_merged
@raises PT413 payload_too_large
@raises PT422 idempotency_key_reused$$;

revoke execute on function public.generate_video_atomic(uuid, uuid, text, jsonb, uuid)
from public, anon, authenticated;
grant execute on function public.generate_video_atomic(uuid, uuid, text, jsonb, uuid)
to authenticated, service_role;
