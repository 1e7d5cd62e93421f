"""The addresses of the shop."""

from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import path

from shop import views

urlpatterns = [
    path("", views.page),
    path("orders", views.orders),
    path("relay-token", views.relay_token),
    path("admin/", admin.site.urls),
    *staticfiles_urlpatterns(),  # of the admin, while DEBUG is on
]
