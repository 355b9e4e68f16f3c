-- What a video costs: by length and resolution where the model has a rule, never below its minimum.
begin;
select plan(40);

create temp table model as
select 4 as minimum, '{
    "resolutions": {"720p": 0.5, "1080p": 1.5}, "default_resolution": "720p",
    "default_seconds": 8, "max_seconds": 60
}'::jsonb as rule;

select is(rendio.price(minimum, rule, settings::jsonb), credits, why)
from model, (values
    ('{}', 4, 'the defaults'),
    ('{"duration": 20, "resolution": "1080p"}', 30, 'seconds times the rate'),
    ('{"duration": 20}', 10, 'the default resolution''s rate'),
    ('{"resolution": "1080p"}', 12, 'the default length'),
    ('{"duration": null, "resolution": null}', 4, 'null is as good as nothing'),
    ('{"duration": 1}', 4, 'the minimum, where that is more'),
    ('{"duration": 8}', 4, 'exactly the minimum'),
    ('{"duration": 8.001}', 5, 'a fraction of a credit is rounded up'),
    ('{"duration": 10}', 5, 'but nothing where there is none'),
    ('{"duration": 60}', 30, 'the longest'),
    ('{"duration": "20"}', 10, 'a length as text'),
    ('{"duration": "20s"}', 10, 'with its unit'),
    ('{"duration": "20.5s"}', 11, 'and with both'),
    ('{"duration": 20, "seed": 7, "seconds": 99}', 10, 'other settings cost nothing')
) as t (settings, credits, why);
select is(
    rendio.price(minimum, rule, settings::jsonb), null::integer,
    settings || ' is not offered'
)
from model, (values
    ('{"duration": 60.001}'), ('{"duration": 0}'), ('{"duration": "0s"}'), ('{"duration": -8}'),
    ('{"duration": 1e3}'), ('{"duration": 1e-3000}'), ('{"duration": 99999}'),
    ('{"duration": 8.0001}'), ('{"duration": ""}'), ('{"duration": "s"}'), ('{"duration": "8 s"}'),
    ('{"duration": "8ss"}'), ('{"duration": "8."}'), ('{"duration": "NaN"}'),
    ('{"duration": "8\n"}'), ('{"duration": [8]}'), ('{"duration": true}'),
    ('{"resolution": "4k"}'), ('{"resolution": ""}'), ('{"resolution": ["720p"]}'),
    ('{"resolution": {"720p": 1}}'), ('{"resolution": 720}')
) as t (settings);

select is(
    rendio.price(4, null, '{"duration": 60, "resolution": "4k"}'), 4,
    'without a rule every video costs the same'
);
select is(
    rendio.price(1, '{"resolutions": {"8k": 100000}, "default_resolution": "8k",
        "default_seconds": 3600, "max_seconds": 3600}', '{}'),
    360000000, 'the dearest that a rule allows'
);
select is(
    rendio.price(1, '{"resolutions": {"a,b": 2, "}": 3}, "default_resolution": "a,b",
        "default_seconds": 0.5, "max_seconds": 1}', '{"resolution": "}"}'),
    2, 'a resolution is only a name'
);
select is(
    rendio.price(1, '{"resolutions": {"720p": 0.1}, "default_resolution": "720p",
        "default_seconds": 30, "max_seconds": 30}', '{}'),
    3, 'thirty times a tenth is three'
);

select * from finish();
rollback;
