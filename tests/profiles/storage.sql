-- Schema storage as a Supabase project has it: buckets and objects, written through the Storage API
-- under row security, with the privileges open to everybody. Run by the superuser, after auth.sql.

create schema storage;

create type storage.buckettype as enum ('STANDARD', 'ANALYTICS', 'VECTOR');

create table storage.migrations (
    id integer primary key,
    name varchar(100) unique not null,
    hash varchar(40) not null,
    executed_at timestamp default current_timestamp
);

create table storage.buckets (
    id text primary key,
    name text not null,
    owner uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    public boolean default false,
    avif_autodetection boolean default false,
    file_size_limit bigint,
    allowed_mime_types text[],
    owner_id text,
    type storage.buckettype not null default 'STANDARD'
);

create unique index bname on storage.buckets (name);

create table storage.objects (
    id uuid primary key default gen_random_uuid(),
    bucket_id text,
    name text,
    owner uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    last_accessed_at timestamptz default now(),
    metadata jsonb,
    path_tokens text[] generated always as (string_to_array(name, '/')) stored,
    version text,
    owner_id text,
    user_metadata jsonb,
    constraint "objects_bucketId_fkey" foreign key (bucket_id) references storage.buckets (id)
);

create unique index bucketid_objname on storage.objects (bucket_id, name);
create index name_prefix_search on storage.objects (name text_pattern_ops);

alter table storage.migrations enable row level security;
alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;

-- All of a name's parts but the last; the last; and what follows the last point of that.
create function storage.foldername(name text)
returns text[]
language plpgsql
immutable
as $$
declare
    v_parts text[] := string_to_array(name, '/');
begin
    return v_parts[:cardinality(v_parts) - 1];
end
$$;

create function storage.filename(name text)
returns text
language plpgsql
immutable
as $$
begin
    return split_part(name, '/', -1);
end
$$;

create function storage.extension(name text)
returns text
language plpgsql
immutable
as $$
begin
    return split_part(split_part(name, '/', -1), '.', -1);
end
$$;

-- A row deleted here would leave the file behind; the API sets the setting.
create function storage.protect_delete()
returns trigger
language plpgsql
as $$
begin
    if current_setting('storage.allow_delete_query', true) is distinct from 'true' then
        raise insufficient_privilege using message = 'files are deleted through the Storage API';
    end if;
    return null;
end
$$;

create trigger protect_buckets_delete before delete on storage.buckets
for each statement execute function storage.protect_delete();
create trigger protect_objects_delete before delete on storage.objects
for each statement execute function storage.protect_delete();

do $$
declare
    v_relation regclass;
    v_function regprocedure;
begin
    for v_relation in
        select oid from pg_class where relnamespace = 'storage'::regnamespace and relkind = 'r'
    loop
        execute format('alter table %s owner to supabase_storage_admin', v_relation);
    end loop;
    for v_function in
        select oid from pg_proc where pronamespace = 'storage'::regnamespace
    loop
        execute format('alter function %s owner to supabase_storage_admin', v_function);
    end loop;
end
$$;

grant all on schema storage to supabase_storage_admin;
grant usage on schema storage to anon, authenticated, service_role;
grant all on storage.buckets, storage.objects to anon, authenticated, service_role;
