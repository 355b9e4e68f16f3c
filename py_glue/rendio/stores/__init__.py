"""What a store says, verified, as the arguments of the SQL calls.

::

    purchase = app_store.purchase(signed_transaction)
    client.record_iap_purchase(user_id=user_id, **purchase.arguments())

    notification = app_store.notification(signed_payload)
    client.apply_store_notification(**notification.arguments())

`rendio.stores.apple` needs ``pip install 'rendio[apple]'``, `rendio.stores.google_play` needs
``pip install 'rendio[google_play]'``. What a purchase or a refund is worth is decided in SQL; here
it is only decided who said so.
"""

from rendio.stores.arguments import Notification, Purchase
from rendio.stores.errors import StoreError, StoreUnavailable

__all__ = ["Notification", "Purchase", "StoreError", "StoreUnavailable"]
