-- The models on sale, and the catalogue's ETag.
--
-- Locks: none on existing tables. Duration: milliseconds.

create table public.models (
    id uuid primary key default gen_random_uuid(),
    name text not null
        constraint models_name_check check (length(name) between 1 and 255),
    category text not null
        constraint models_category_check check (length(category) between 1 and 255),
    description text,
    cost_per_generation integer not null default 4
        constraint models_cost_per_generation_check
        check (cost_per_generation between 1 and 1000000),
    provider text not null
        constraint models_provider_check check (length(provider) between 1 and 255),
    provider_model_id text,
    price_rule jsonb
        constraint models_price_rule_check
        check (
            price_rule is null
            or coalesce(
                jsonb_typeof(price_rule) = 'object'
                and jsonb_typeof(price_rule -> 'resolutions') = 'object'
                and price_rule -> 'resolutions' ? (price_rule ->> 'default_resolution')
                and not jsonb_path_exists(
                    price_rule,
                    'strict $.resolutions.* ? (@.type() != "number" || @ <= 0 || @ > 100000)'
                )
                and jsonb_typeof(price_rule -> 'default_seconds') = 'number'
                and jsonb_typeof(price_rule -> 'max_seconds') = 'number'
                and price_rule @@ '$.default_seconds >= 0.001 && $.max_seconds <= 3600'
                and price_rule @@ '$.default_seconds <= $.max_seconds'
                and scale((price_rule ->> 'default_seconds')::numeric) <= 3
                and price_rule
                    - '{resolutions, default_resolution, default_seconds, max_seconds}'::text[]
                    = '{}',
                false
            )
        ),
    is_featured boolean not null default false,
    is_available boolean not null default true,
    thumbnail_url text
        constraint models_thumbnail_url_check check (length(thumbnail_url) <= 2048),
    timeout interval not null default '30 minutes'
        constraint models_timeout_check
        check (timeout > interval '0' and timeout <= interval '1 day'),
    created_at timestamptz not null default rendio.clock()
);

alter table public.models enable row level security;

comment on table public.models is
$$The video models on sale. A retired one is made unavailable, never deleted: jobs name it.$$;
comment on column public.models.id is 'Model id; fixed for the models that come with rendio.';
comment on column public.models.name is 'Display name.';
comment on column public.models.category is 'Display category.';
comment on column public.models.description is 'One sentence for the person who chooses.';
comment on column public.models.cost_per_generation is
    'Credits for one video; with a price rule the least that one costs. A change never touches jobs
already taken.';
comment on column public.models.price_rule is
    'Null, or credits for a second by resolution, the same for a request that names neither:
{"resolutions": {"720p": 1, "1080p": 1.5}, "default_resolution": "720p", "default_seconds": 8,
"max_seconds": 60}. A fraction of a credit is rounded up.';
comment on column public.models.provider is 'Who runs it: fal, runway, pika.';
comment on column public.models.provider_model_id is
    'The provider''s name for it, such as fal-ai/veo3.1. Hidden from clients.';
comment on column public.models.is_featured is 'Shown first.';
comment on column public.models.is_available is
    'On sale. False: hidden, and generation answers PT404.';
comment on column public.models.thumbnail_url is 'Preview image.';
comment on column public.models.timeout is
    'How long the provider may take from the start before the job fails and is refunded.';
comment on column public.models.created_at is 'When the model was added.';

create table public.catalog_version (
    singleton boolean primary key default true
        constraint catalog_version_singleton_check check (singleton),
    etag text not null
);

alter table public.catalog_version enable row level security;

comment on table public.catalog_version is
$$One row: the strong ETag of the model list, so that an unchanged list is answered from one
small read. Random, not counted: a restored backup can never reuse a tag for other content.$$;
comment on column public.catalog_version.singleton is 'Always true: the table has one row.';
comment on column public.catalog_version.etag is 'With its quotes, as HTTP sends it.';

insert into public.catalog_version (etag) values ('"' || gen_random_uuid() || '"');

create function rendio.touch_catalog()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_etag text := '"' || gen_random_uuid() || '"';
begin
    update public.catalog_version set etag = v_etag where singleton;
    return null;
end;
$$;

comment on function rendio.touch_catalog() is
$$Give the model list a new ETag; the trigger of every statement that writes models.$$;

revoke execute on function rendio.touch_catalog() from public, anon, authenticated;

create trigger models_touch_catalog
after insert or update or delete or truncate on public.models
for each statement execute function rendio.touch_catalog();

insert into public.models (
    id, name, category, description, cost_per_generation, provider, provider_model_id, is_featured
) values
(
    '5f3b1e70-0000-4000-8000-000000000001', 'Veo 3.1', 'cinematic',
    'Cinematic clips with sound from a written scene.', 4,
    'fal', 'fal-ai/veo3.1', true
),
(
    '5f3b1e70-0000-4000-8000-000000000002', 'Sora 2', 'cinematic',
    'Realistic scenes with speech and sound from a written scene.', 4,
    'fal', 'fal-ai/sora-2/text-to-video', true
);
