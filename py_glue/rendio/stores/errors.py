"""Errors of the stores.

::

    RendioError
    └── StoreError              400  see `slug`
        └── StoreUnavailable    503  the store could not be asked: try again

    slug
    malformed                   not of the form that the store documents
    untrusted                   not signed by the store, or not to be proved so
    wrong_app                   of another app
    wrong_environment           of an environment that was not asked for
    not_consumable              a purchase that credits cannot stand for
    purchase_pending            not paid yet
    purchase_revoked            paid back, or canceled
    consent_missing             the customer has not agreed to what would be sent
    refused_by_store            the store's API refused a request; detail has its codes
    store_unavailable           of `StoreUnavailable`

None of them repeats what it refuses: a payload names a customer, and may be anybody's text.
"""

from rendio._errors import RendioError


class StoreError(RendioError):
    """What came is not the store's word on a purchase in this app; `slug` says why."""

    slug = "store_error"
    status = 400


class StoreUnavailable(StoreError):
    """Whether it is the store's word cannot be told now; nothing is known against it."""

    slug = "store_unavailable"
    status = 503
    is_retryable = True
