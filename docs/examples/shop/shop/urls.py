"""The addresses of the shop."""

from django.contrib import admin
from django.urls import path

from shop import views

urlpatterns = [
    path("", views.page),
    path("orders", views.orders),
    path("relay-token", views.relay_token),
    path("admin/", admin.site.urls),
]
