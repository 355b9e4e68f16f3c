"""Right and wrong values for the arguments of any RPC, as SQL expressions.

``{alice}`` and the like stand for what a test's database knows under that name.
"""

from collections.abc import Iterator

import pytest
from catalogue import Argument, Rpc
from rpc import MODEL


def cast(type_: str, *texts: str) -> list[str]:
    return [f"'{text}'::{type_}" for text in texts]


TEN_MB = 10 * 1024 * 1024
TEXTS = [
    "''", "' '", "e'\\t\\n'", "'x'", "'-1'", "'null'", "'*'", "'Production'", "'initial_grant'",
    "'iap_purchase'", "'service_role'", "'%s %I {} \\'", "'''; drop table public.users; --'",
    "'\U0001f600\u202e'", "repeat('x', 256)", "repeat('x', 4001)", f"repeat('x', {TEN_MB})",
]  # fmt: skip
JSON = [
    *cast("jsonb", "null", "[]", '"text"', "1", "true", '{"a": 1e300}', '{"": null}', "{}"),
    "(repeat('[', 1000) || repeat(']', 1000))::jsonb",
    "jsonb_build_object('a', repeat('x', 16384))",
    f"jsonb_build_object('a', repeat('x', {TEN_MB}))",
    *cast("jsonb", "", "no json", '{"a":', '{"a": "\\u0000"}', '{"a": 1e999999}'),
    "repeat('[', 100000)::jsonb",
]
WHOLE = ("0", "-1", "1", "2147483647", "-2147483648", "", "x", "1.5", "Infinity", "NaN", "1e400")
WRONG = {
    "text": TEXTS,
    "jsonb": JSON,
    "uuid": cast(
        "uuid",
        "{bob}",
        "{bobs_job}",
        "99999999-0000-4000-8000-000000000009",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "",
        "not-a-uuid",
    ),
    "integer": cast("integer", *WHOLE, "99999999999"),
    "bigint": cast("bigint", *WHOLE, "9223372036854775807", "-9223372036854775808", "1" * 30),
    "timestamp with time zone": cast(
        "timestamptz",
        "infinity",
        "-infinity",
        "epoch",
        "4714-11-24 00:00:00+00 BC",
        "294276-12-31 23:59:59.999999+00",
        "294277-01-01",
        "2024-02-30",
        "",
        "noon",
    ),
    "interval": cast(
        "interval",
        "0",
        "-1 day",
        "1 day 1 microsecond",
        "-1 month 40 days",
        "178000000 years",
        "-178000000 years",
        "999999999999 years",
        "infinity",
        "",
        "a while",
    ),
    "boolean": cast("boolean", "true", "false", "", "maybe"),
}

# A value that is right for an argument of that name, in one function or in all. What is not here
# gets the first value of its type.
RIGHT = {
    "p_user_id": "'{alice}'",
    "p_model_id": f"'{MODEL}'",
    "p_job_id": "'{alices_job}'",
    "p_device_id": "'a new phone'",
    "p_apple_sub": "'{alices_sub}'",
    "p_prompt": "'a cat surfing'",
    "p_settings": "'{}'",
    "p_idempotency_key": "gen_random_uuid()",
    "p_amount": "5",
    "p_reason": "'promo_grant'",
    "p_worker": "'worker'",
    "p_provider": "'fal'",
    "p_provider_job_id": "'{alices_provider_job}'",
    "start_video_job.p_provider_job_id": "'fal-new'",
    "p_video_url": "'https://v/1.mp4'",
    "p_error": "'no'",
    "p_at": "now()",
    "p_from": "'2020-01-01'",
    "p_to": "'2100-01-01'",
    "p_store": "'app_store'",
    "p_environment": "'Production'",
    "p_transaction_id": "'t-new'",
    "p_product_id": "'credits_20'",
    "p_notification_id": "'n-new'",
    "answer_consumption_request.p_notification_id": "'{alices_question}'",
    "p_type": "'REFUND'",
    "p_consented": "false",
    "p_endpoint": "'general'",
}


def wrong_values(argument: Argument) -> list[str]:
    if argument.type not in WRONG:
        pytest.fail(f"{argument.name} is {argument.type}: add wrong values of that type to WRONG")
    return [f"null::{argument.type}", *WRONG[argument.type]]


def right_values(rpc: Rpc) -> dict[str, str]:
    """Return a value for each argument that has no default."""
    return {
        argument.name: RIGHT.get(f"{rpc.name}.{argument.name}")
        or RIGHT.get(argument.name)
        or wrong_values(argument)[1]
        for argument in rpc.arguments
        if not argument.has_default
    }


def one_wrong_at_a_time(rpc: Rpc) -> Iterator[dict[str, str]]:
    """Return a call's arguments, each of them in turn replaced by each wrong value of its type."""
    right = right_values(rpc)
    for argument in rpc.arguments:
        for value in wrong_values(argument):
            yield right | {argument.name: value}
