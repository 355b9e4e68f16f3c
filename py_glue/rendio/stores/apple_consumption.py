"""Answer Apple's CONSUMPTION_REQUEST: how much of a purchase was used, when a refund is asked for.

::

    clients = {"Production": AppStoreServerAPIClient(key, key_id, issuer_id, bundle_id, PRODUCTION)}
    for request in client.get_consumption_requests().requests:
        send_consumption(clients, request)
        client.answer_consumption_request(
            store=request.store,
            environment=request.environment,
            notification_id=request.notification_id,
        )

A request may also be a dict, as SQL returns it. Apple takes an answer within 12 hours of the
notification, and none without the customer's consent.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rendio.stores.errors import StoreError, StoreUnavailable

try:
    import requests
    from appstoreserverlibrary.api_client import APIException, AppStoreServerAPIClient
    from appstoreserverlibrary.models.ConsumptionRequest import ConsumptionRequest
    from appstoreserverlibrary.models.DeliveryStatus import DeliveryStatus
    from appstoreserverlibrary.models.RefundPreference import RefundPreference
except ImportError as error:
    raise ImportError("the App Store needs Apple's library: pip install 'rendio[apple]'") from error

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TOO_MANY_REQUESTS = 429


def consumption_request(
    request: "Mapping[str, Any] | DataclassInstance",
    *,
    sample_content_provided: bool = True,
    refund_preference: RefundPreference | None = None,
) -> ConsumptionRequest:
    """Turn a request of `get_consumption_requests()` into Apple's request body.

    The credits were delivered: a transaction without a buyer is not listed. The initial grant is
    the free sample; without one say `sample_content_provided=False`.
    """
    facts = _facts(request)
    if facts["customer_consented"] is not True:
        raise StoreError("consent_missing", hint="Apple forbids to answer without consent.")
    return ConsumptionRequest(
        customerConsented=True,
        sampleContentProvided=sample_content_provided,
        deliveryStatus=DeliveryStatus.DELIVERED,
        consumptionPercentage=facts["consumption_percentage"],
        refundPreference=refund_preference,
    )


def send_consumption(
    clients: Mapping[str, AppStoreServerAPIClient],
    request: "Mapping[str, Any] | DataclassInstance",
    *,
    sample_content_provided: bool = True,
    refund_preference: RefundPreference | None = None,
) -> None:
    """Answer one of `get_consumption_requests()`; `clients` are by environment."""
    body = consumption_request(
        request,
        sample_content_provided=sample_content_provided,
        refund_preference=refund_preference,
    )
    facts = _facts(request)
    client = clients.get(facts["environment"])
    if facts["store"] != "app_store" or not client:
        raise StoreError("wrong_environment", hint="There is no client for it.")
    try:
        client.send_consumption_information(facts["transaction_id"], body)
    except APIException as error:
        raise _refusal(error) from error
    except requests.RequestException as error:
        raise StoreUnavailable(hint="The App Store Server API did not answer.") from error


def _facts(request: "Mapping[str, Any] | DataclassInstance") -> Mapping[str, Any]:
    return request if isinstance(request, Mapping) else asdict(request)


def _refusal(error: APIException) -> StoreError:
    status = error.http_status_code
    detail = {"http_status": status, "error_code": error.raw_api_error}
    if status == TOO_MANY_REQUESTS or status >= 500:
        return StoreUnavailable(detail=detail)
    return StoreError("refused_by_store", detail=detail)
