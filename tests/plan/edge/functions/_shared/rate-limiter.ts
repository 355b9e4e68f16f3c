// supabase/functions/_shared/rate-limiter.ts
interface RateLimitConfig {
  windowMs: number // Time window in milliseconds
  maxRequests: number // Max requests per window
}

const rateLimitCache = new Map<string, { count: number; resetAt: number }>()

export function checkRateLimit(
  userId: string,
  config: RateLimitConfig = { windowMs: 60000, maxRequests: 10 }
): { allowed: boolean; retryAfter?: number } {
  const now = Date.now()
  const userLimit = rateLimitCache.get(userId)
  
  if (!userLimit || now > userLimit.resetAt) {
    // First request or window expired
    rateLimitCache.set(userId, {
      count: 1,
      resetAt: now + config.windowMs
    })
    return { allowed: true }
  }
  
  if (userLimit.count >= config.maxRequests) {
    // Rate limit exceeded
    const retryAfter = Math.ceil((userLimit.resetAt - now) / 1000)
    return { allowed: false, retryAfter }
  }
  
  // Increment count
  userLimit.count++
  return { allowed: true }
}
