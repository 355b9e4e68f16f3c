"""``rendio serve``: the SQL API over HTTP, for development, tests and small deployments.

Two thin faces over the same calls: `postgrest` speaks as PostgREST does for functions, `endpoints`
serves the plans' Edge functions. What is decided here is who calls (`identity`), whether an outside
proof holds (`devicecheck`, `purchases`), and how much is let in (`bodies`, `pool`, `limits`); what
a call does is decided in SQL. With PostgREST or Supabase in production nobody needs it.
"""
