"""Tests of the shop, without Redis: `python manage.py test`."""

import json
from unittest.mock import patch

from django.contrib.auth.models import User
from django.test import TestCase

from shop.live import publisher
from shop.models import Order


class OrderTest(TestCase):
    def test_a_customer_is_told_of_an_order(self) -> None:
        ann = User.objects.create(username="ann")
        with patch.object(publisher, "publish") as publish, self.captureOnCommitCallbacks(execute=True):
            order = Order.objects.create(customer=ann, item="tea")
        channel, data = publish.call_args.args
        assert channel == f"orders:{ann.pk}"
        assert json.loads(data) == {"type": "order", "order": order.as_json()}
