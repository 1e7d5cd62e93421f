"""Orders, which tell their customers when they change."""

from typing import Any

from django.conf import settings
from django.db import models, transaction

from shop.live import tell


class Order(models.Model):
    """What a customer has ordered."""

    customer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    item = models.CharField(max_length=100)
    status = models.CharField(max_length=20, default="ordered")
    version = models.PositiveIntegerField(default=1, editable=False)

    def __str__(self) -> str:
        return self.item

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and tell the customer."""
        with transaction.atomic():
            if self.pk is not None:
                self.version = models.F("version") + 1  # counted by the database: two changes are never one version
            super().save(*args, **kwargs)
            self.refresh_from_db(fields=["version"])
            tell(f"orders:{self.customer_id}", {"type": "order", "order": self.as_json()})

    def as_json(self) -> dict[str, Any]:
        """Return what pages are told of it."""
        return {"id": self.pk, "item": self.item, "status": self.status, "version": self.version}
