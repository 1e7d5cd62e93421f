"""The page of a customer, and what it asks for."""

import time
from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from shop.models import Order


def orders_of(request: HttpRequest) -> list[dict[str, Any]]:
    return [order.as_json() for order in Order.objects.filter(customer=request.user)]


@login_required
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "orders.html", {"channel": f"orders:{request.user.pk}", "orders": orders_of(request)})


@never_cache
def orders(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return HttpResponse("log in first", status=401)
    return JsonResponse({"orders": orders_of(request)})


@never_cache
def relay_token(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return HttpResponse("log in first", status=401)
    claims = {"sub": str(request.user.pk), "exp": int(time.time()) + 300, "channels": {"orders:{sub}": "r"}}
    return JsonResponse({"token": jwt.encode(claims, settings.RELAY_JWT_SECRET, algorithm="HS256")})
