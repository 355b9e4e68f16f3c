// The plan's function, put together from its parts; the client, the catch and the answer are those
// of its get-models, and the provider is a stand-in.
import { serve } from 'https://deno.land/std@0.168.0/http/server.ts'
import { createClient } from 'https://esm.sh/@supabase/supabase-js@2'
import { checkRateLimit } from '../_shared/rate-limiter.ts'
import { callProviderAPI } from '../../stand_ins/provider.ts'

const supabaseClient = createClient(
  Deno.env.get('SUPABASE_URL') ?? '',
  Deno.env.get('SUPABASE_SERVICE_ROLE_KEY') ?? ''
)

serve(async (req) => {
  try {
    const idempotencyKey = req.headers.get('Idempotency-Key')
    const { user_id, model_id, prompt, settings } = await req.json()

    // Check rate limit (10 requests per minute)
    const rateLimit = checkRateLimit(user_id, {
      windowMs: 60000,
      maxRequests: 10
    })

    if (!rateLimit.allowed) {
      return new Response(
        JSON.stringify({
          error: 'Rate limit exceeded. Please try again later.',
          retry_after: rateLimit.retryAfter
        }),
        {
          status: 429,
          headers: {
            'Retry-After': String(rateLimit.retryAfter)
          }
        }
      )
    }

    const { data, error } = await supabaseClient.rpc('generate_video_atomic', {
      p_user_id: user_id,
      p_model_id: model_id,
      p_prompt: prompt,
      p_settings: settings || {},
      p_idempotency_key: idempotencyKey
    })

    if (error) {
      // All-or-nothing: if this fails, credits not deducted
      throw error
    }

    const jobId = data.job_id

    // Call provider API (this is outside transaction)
    const providerResult = await callProviderAPI(prompt)

    // Update job with provider_job_id
    await supabaseClient
      .from('video_jobs')
      .update({ provider_job_id: providerResult.job_id })
      .eq('job_id', jobId)

    return new Response(
      JSON.stringify(data),
      { headers: { 'Content-Type': 'application/json' } }
    )

  } catch (error) {
    return new Response(
      JSON.stringify({ error: error.message }),
      { status: 500 }
    )
  }
})
