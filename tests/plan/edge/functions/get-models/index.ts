import { serve } from 'https://deno.land/std@0.168.0/http/server.ts'
import { createClient } from 'https://esm.sh/@supabase/supabase-js@2'
import { createHash } from 'https://deno.land/std@0.181.0/hash/mod.ts'

serve(async (req) => {
  try {
    const supabaseClient = createClient(
      Deno.env.get('SUPABASE_URL') ?? '',
      Deno.env.get('SUPABASE_SERVICE_ROLE_KEY') ?? ''
    )
    
    // Fetch models
    const { data: models, error } = await supabaseClient
      .from('models')
      .select('*')
      .eq('is_available', true)
      .order('is_featured', { ascending: false })
      .order('name', { ascending: true })
    
    if (error) throw error
    
    // Generate ETag from content
    const content = JSON.stringify(models)
    const hash = createHash("md5").update(content).toString()
    const etag = `"${hash}"`
    
    // Check If-None-Match header
    const clientETag = req.headers.get('If-None-Match')
    
    if (clientETag === etag) {
      // Content hasn't changed
      return new Response(null, {
        status: 304,
        headers: {
          'ETag': etag,
          'Cache-Control': 'max-age=3600' // 1 hour
        }
      })
    }
    
    // Return models with ETag
    return new Response(
      JSON.stringify({ models }),
      {
        headers: {
          'Content-Type': 'application/json',
          'ETag': etag,
          'Cache-Control': 'max-age=3600'
        }
      }
    )
    
  } catch (error) {
    return new Response(
      JSON.stringify({ error: error.message }),
      { status: 500 }
    )
  }
})
