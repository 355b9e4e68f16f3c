-- The publication that Supabase's Realtime reads; a new project has it empty.

create publication supabase_realtime;
